"""Columns of a table: their names, their types, and the keys of the records that fill them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.quoting import folded, identifier
from beam_s3box.redshift.sql.types import SqlType, parse_type

MAX_COLUMNS: Final = 1_600
"""The maximum for a table. Source: "CREATE TABLE"."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table; every column is nullable, because NOT NULL can't be removed later.

    Attributes:
      name: of the column.
      type: of Redshift, in any spelling; it is kept as `SqlType.__str__` writes it.
      key: of the records; "" for the column's name.
      min_type: of an inferred column, the smallest type that holds all values: `type` has room for longer ones. ""
        for the type itself; `ANYTHING` if there were only nulls.
    """

    name: str
    type: str
    key: str = ""
    min_type: str = ""

    def __post_init__(self) -> None:
        identifier(self.name, "column")
        object.__setattr__(self, "type", str(parse_type(self.type, f"type of the column {self.name!r}")))
        object.__setattr__(self, "key", self.key or self.name)
        if self.min_type not in ("", ANYTHING):
            object.__setattr__(self, "needs", str(parse_type(self.min_type, "min_type")))

    @property
    def sql_type(self) -> SqlType:
        """The type, parsed."""
        return parse_type(self.type)

    def fits(self, type: SqlType) -> bool:
        """Return whether the values of this column can be loaded into a column of that type without loss."""
        return self.min_type == ANYTHING or type.holds(parse_type(self.min_type or self.type))


ANYTHING: Final = "ANYTHING"
"""`min_type` of a column that had only nulls."""

Columns: TypeAlias = Sequence[Column] | Mapping[str, str]
"""Columns, or types by name."""


def as_columns(columns: Columns, parameter: str = "columns") -> list[Column]:
    """Return the columns of one table.

    Raises:
      ConfigurationError: no columns, too many, a name twice, or an invalid column.
    """
    if isinstance(columns, Mapping):
        columns = [Column(name, type) for name, type in columns.items()]
    for column in columns:
        if not isinstance(column, Column):
            raise ConfigurationError(f"{parameter} has {column!r}: give Columns, or a mapping from names to types")
    if not 1 <= len(columns) <= MAX_COLUMNS:
        raise ConfigurationError(
            f"{parameter} has {len(columns)} columns; a table has 1 to {MAX_COLUMNS}: load whole records with more "
            "keys into one SUPER column with mapping='noshred' (--redshift_mapping)"
        )
    check_distinct((column.name for column in columns), parameter)
    return list(columns)


def check_distinct(names: Iterable[str], parameter: str = "columns") -> None:
    """Raise ConfigurationError if two names are one column to Redshift, which folds their case."""
    seen: dict[str, str] = {}
    for name in names:
        identifier(name, parameter)
        if folded(name) in seen:
            raise ConfigurationError(
                f"{parameter} has {seen[folded(name)]!r} and {name!r}, which are one column to Redshift: leave one out"
            )
        seen[folded(name)] = name


def mapping_of(columns: Iterable[Column]) -> str:
    """Return the `mapping` with which COPY fills the columns: `"auto"`, or `"auto ignorecase"` for keys in upper case.

    With `"auto"` COPY finds no column for a key with a capital letter, and skips it without a message.

    Raises:
      ConfigurationError: a column whose key differs from its name: that needs a jsonpaths file.
    """
    has_capitals = False
    for column in columns:
        if folded(column.key) != folded(column.name):
            raise ConfigurationError(
                f"the column {column.name!r} has key={column.key!r}: COPY finds it only with a jsonpaths file; give "
                "its URL as mapping="
            )
        has_capitals = has_capitals or folded(column.key) != column.key
    return "auto ignorecase" if has_capitals else "auto"
