"""Columns of a table: their names, their types, and which keys of the records fill them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.quoting import folded, identifier
from beam_s3box.redshift.sql.types import SqlType, parse_type

MAX_COLUMNS: Final = 1_600
"""A table has no more. Source: "CREATE TABLE"."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table; every one is nullable, because NOT NULL can't be taken back.

    Attributes:
      name: as Redshift keeps it.
      type: of Redshift, in any spelling; `SqlType.__str__` is what is kept.
      key: of the records; "" for the column's name.
      min_type: the smallest type that holds what was seen, where the column was inferred: `type` has room to grow. ""
        for the type itself; `ANYTHING` where only nulls were seen.
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
        """Its type, taken apart."""
        return parse_type(self.type)

    def fits(self, type: SqlType) -> bool:
        """Return whether what was seen of this column can be loaded into one of that type, and loses nothing."""
        return self.min_type == ANYTHING or type.holds(parse_type(self.min_type or self.type))


ANYTHING: Final = "ANYTHING"
"""`min_type` of a column of which only nulls were seen."""

Columns: TypeAlias = Sequence[Column] | Mapping[str, str]
"""Columns, or types by name."""


def as_columns(columns: Columns, parameter: str = "columns") -> list[Column]:
    """Return the columns of one table.

    Raises:
      ConfigurationError: none, too many, one twice, or one that can't be.
    """
    if isinstance(columns, Mapping):
        columns = [Column(name, type) for name, type in columns.items()]
    for column in columns:
        if not isinstance(column, Column):
            raise ConfigurationError(f"{parameter} has {column!r}: give Columns, or a mapping from names to types")
    if not 1 <= len(columns) <= MAX_COLUMNS:
        raise ConfigurationError(
            f"{parameter} has {len(columns)} columns; a table has 1 to {MAX_COLUMNS}: load records with more keys "
            "whole, into one SUPER column, with mapping='noshred'"
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

    With `"auto"` COPY finds no column for a key with a capital letter, and leaves it out without a word.

    Raises:
      ConfigurationError: a column whose key is another word: only a jsonpaths file can say that.
    """
    odd = False
    for column in columns:
        if folded(column.key) != folded(column.name):
            raise ConfigurationError(
                f"the column {column.name!r} has key={column.key!r}: COPY finds it through a jsonpaths file only; "
                "give its URL as mapping="
            )
        odd = odd or folded(column.key) != column.key
    return "auto ignorecase" if odd else "auto"
