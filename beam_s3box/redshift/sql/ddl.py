"""Statements that create a table, and that extend it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.columns import MAX_COLUMNS, Column, Columns, as_columns
from beam_s3box.redshift.sql.quoting import TableName, column_list, folded, identifier, qualified
from beam_s3box.redshift.sql.types import SqlType, parse_type

MAX_SORT_KEYS: Final = 400
"""The maximum of columns in a compound sort key. Source: "CREATE TABLE"."""

_DIST_STYLES = ("auto", "even", "all", "key")
_SHOWN = 5


def create_table_sql(
    table: TableName,
    columns: Columns,
    *,
    if_not_exists: bool = True,
    dist_style: Literal["auto", "even", "all", "key"] | None = None,
    dist_key: str | None = None,
    sort_keys: Sequence[str] = (),
) -> str:
    """Return the CREATE TABLE for these columns, without a semicolon. Every column is nullable.

    Args:
      table: see `TableName`.
      columns: `Column`s, or a mapping from names to types.
      if_not_exists: whether an existing table is left as it is, instead of being an error.
      dist_style: how rows are distributed; None leaves it to Redshift.
      dist_key: the column by which rows are distributed.
      sort_keys: the columns by which rows are sorted.

    Raises:
      ConfigurationError: an invalid name, type or key.
    """
    found = as_columns(columns)
    parts = [
        f"CREATE TABLE {'IF NOT EXISTS ' if if_not_exists else ''}{qualified(table)} (",
        ",\n".join(f"  {identifier(column.name)} {column.type}" for column in found),
        ")",
        *_distribution(found, dist_style, dist_key),
    ]
    if sort_keys:
        parts.append(f"SORTKEY {column_list(_check_sort_keys(found, sort_keys))}")
    return "\n".join(parts)


def alter_table_sql(table: TableName, existing: Mapping[str, str] | Iterable[Column], wanted: Columns) -> list[str]:
    """Return the ALTER TABLEs that add the missing columns to a table, one statement for each, as Redshift requires.

    Args:
      table: see `TableName`.
      existing: the table's columns, as a mapping from names to types in the catalog's spelling.
      wanted: the columns of the records, as `infer_columns` returns them.

    Raises:
      ConfigurationError: a column exists with a type that does not hold its values, or there would be too many.
    """
    pairs = existing.items() if isinstance(existing, Mapping) else ((one.name, one.type) for one in existing)
    there = {folded(column): type for column, type in pairs}
    columns = as_columns(wanted, "wanted")
    changed = [one for one in columns if folded(one.name) in there and not _holds(there[folded(one.name)], one)]
    if changed:
        raise ConfigurationError(_explain_changes(qualified(table), there, changed))
    return add_columns_sql(table, there, columns)


def add_columns_sql(table: TableName, existing: Iterable[str], columns: Iterable[Column]) -> list[str]:
    """Return the ALTER TABLEs that add the missing columns to a table, whatever the types of the existing ones.

    Raises:
      ConfigurationError: there would be too many columns.
    """
    name, there = qualified(table), set(map(folded, existing))
    new = [column for column in columns if folded(column.name) not in there]
    if len(there) + len(new) > MAX_COLUMNS:
        raise ConfigurationError(
            f"{name} would have {len(there) + len(new)} columns; a table has at most {MAX_COLUMNS}: exclude keys "
            "(--redshift_exclude), or put them into one SUPER column"
        )
    return [f"ALTER TABLE {name} ADD COLUMN {identifier(column.name)} {column.type}" for column in new]


def _distribution(columns: list[Column], style: str | None, key: str | None) -> list[str]:
    if style is not None and style not in _DIST_STYLES:
        raise ConfigurationError(f"dist_style={style!r} must be one of {', '.join(_DIST_STYLES)}; None for the default")
    if key is None if style == "key" else key is not None and style is not None:
        raise ConfigurationError(
            f"dist_style={style!r} and dist_key={key!r} don't work together: dist_style='key' needs a column, no other "
            "style takes one"
        )
    parts = [f"DISTSTYLE {style.upper()}"] if style else []
    if key is not None:
        _check_key(columns, key, "dist_key")
        parts.append(f"DISTKEY ({identifier(key)})")
    return parts


def _check_sort_keys(columns: list[Column], keys: Sequence[str]) -> Sequence[str]:
    if isinstance(keys, str) or len(keys) > MAX_SORT_KEYS or len({folded(key) for key in keys}) < len(keys):
        raise ConfigurationError(f"sort_keys={keys!r} must be a sequence of at most {MAX_SORT_KEYS} columns, each once")
    for key in keys:
        _check_key(columns, key, "sort_keys")
    return keys


def _check_key(columns: list[Column], key: str, parameter: str) -> None:
    types = {folded(column.name): column.type for column in columns}
    if folded(key) not in types:
        raise ConfigurationError(f"{parameter}={key!r} is not a column: columns has {_some(types)}")
    if types[folded(key)] == "SUPER":
        raise ConfigurationError(f"{parameter}={key!r} is a SUPER column, which can't be a key: choose another column")


def _holds(there: str, column: Column) -> bool:
    type = _parsed(there)
    return type is not None and column.fits(type)


def _explain_changes(table: str, there: Mapping[str, str], changed: list[Column]) -> str:
    each = _some(f"{one.name!r} is {there[folded(one.name)]} and needs {one.min_type or one.type}" for one in changed)
    return f"wanted does not fit {table}: {each}. {_way_out(table, there[folded(changed[0].name)], changed[0])}"


def _way_out(table: str, there: str, column: Column) -> str:
    type = _parsed(there)
    if type is not None and type.name == "VARCHAR" and column.sql_type.name == "VARCHAR":
        return (
            f"Run ALTER TABLE {table} ALTER COLUMN {identifier(column.name)} TYPE {column.type} outside a "
            "transaction (Redshift rejects that for sort keys and distribution keys), or load with "
            "truncatecolumns=True and leave the column out of wanted"
        )
    return (
        "Load into a new table, or add a column of the new type under another name, copy the values and rename it; "
        "or leave the column out of wanted to keep its type"
    )


def _parsed(text: str) -> SqlType | None:
    """Return a type of the catalog; None for one that is not supported here, such as geometry."""
    with contextlib.suppress(ConfigurationError):
        return parse_type(text)
    return None


def _some(words: Iterable[str]) -> str:
    listed = list(words)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")
