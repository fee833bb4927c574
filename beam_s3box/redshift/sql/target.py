"""The table of a load and how rows come into it, checked before Redshift is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from beam_s3box.checks import check_names
from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.quoting import TableName, folded, identifier, qualified, table_parts

Mode: TypeAlias = Literal["append", "truncate", "upsert"]
OnReplaced: TypeAlias = Literal["error", "skip", "reload"]

MODES: Final = get_args(Mode)
ON_REPLACED: Final = get_args(OnReplaced)


class Target(NamedTuple):
    """A table, with its schema: names as Redshift keeps them, in lower case.

    Attributes:
      schema: of the table; it is never left to the search path, which differs between sessions.
      table: its name.
    """

    schema: str
    table: str

    @property
    def sql(self) -> str:
        """The name as it is written in a statement."""
        return qualified(self)

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


def target_of(table: TableName, schema: str, parameter: str = "table") -> Target:
    """Return the table with its schema.

    Args:
      table: see `quoting.TableName`.
      schema: of a table whose name has none.
      parameter: that the error names.

    Raises:
      ConfigurationError: an invalid table name, or one in another database.
    """
    return Target(*(folded(part) for part in ((schema, *target_parts(table, parameter))[-2:])))


def target_parts(table: TableName, parameter: str = "table") -> tuple[str, ...]:
    """Return the name of a table, or of a template for names, as schema and table, or the table alone.

    Raises:
      ConfigurationError: an invalid table name, or one in another database.
    """
    parts = table_parts(table, parameter)
    if len(parts) > 2:
        raise ConfigurationError(
            f"{parameter}={table!r} names a database: a load goes into the connection's own; write 'schema.table'"
        )
    for part in parts:
        identifier(part, parameter)
    return parts


@dataclasses.dataclass(frozen=True)
class Merge:
    """How rows come into the table.

    Attributes:
      mode: "append" adds them; "truncate" replaces all rows of the table; "upsert" replaces the rows with the same
        keys, and adds those with new keys.
      keys: columns that identify a row; for "upsert" only.
      order_by: for "upsert": the column that says which of several rows with the same keys is the newest, among the
        records and the rows of the table; None if keys are unique.
    """

    mode: Mode = "append"
    keys: tuple[str, ...] = ()
    order_by: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigurationError(f"mode={self.mode!r} must be one of {', '.join(MODES)}")
        if self.mode == "upsert" and not self.keys:
            raise ConfigurationError("keys= is missing: mode='upsert' needs the columns that identify a row")
        if self.mode != "upsert" and (self.keys or self.order_by is not None):
            raise ConfigurationError(
                f"keys={list(self.keys)!r}, order_by={self.order_by!r} are for mode='upsert', not mode={self.mode!r}"
            )
        for name in (*self.keys, *([self.order_by] if self.order_by is not None else [])):
            identifier(name, "keys or order_by")

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise ConfigurationError if a key, or `order_by`, is not among the loaded columns."""
        loaded = {folded(column) for column in columns}
        for parameter, names in (("keys", self.keys), ("order_by", (self.order_by,) if self.order_by else ())):
            for name in names:
                if folded(name) not in loaded:
                    raise ConfigurationError(
                        f"{parameter}= has {name!r}, which is not loaded; the columns are {', '.join(columns)}"
                    )


def merge_of(mode: Mode, keys: Sequence[str] | None, order_by: str | None) -> Merge:
    """Return the checked settings; `keys` is one name or several."""
    return Merge(mode, check_names("keys", keys or (), "'id'"), order_by)


def check_on_replaced(on_replaced: OnReplaced, mode: Mode | None = None) -> None:
    """Check the choice, and whether it works with the mode.

    Raises:
      ConfigurationError: an unknown choice, or one that would load rows twice.
    """
    if on_replaced not in ON_REPLACED:
        raise ConfigurationError(f"on_replaced={on_replaced!r} must be one of {', '.join(ON_REPLACED)}")
    if on_replaced == "reload" and mode == "append":
        raise ConfigurationError(
            "on_replaced='reload' with mode='append' would keep the rows of the earlier load next to the new ones: use "
            "mode='upsert' with keys=, or on_replaced='error'"
        )
