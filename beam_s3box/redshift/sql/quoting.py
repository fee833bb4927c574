"""Quoting of names and values in statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from beam_s3box.checks import check_names
from beam_s3box.errors import ConfigurationError

MAX_NAME_BYTES: Final = 127
"""Redshift truncates longer names, with only a notice. Source: "Names and identifiers" of its developer guide."""

TableName: TypeAlias = str | Sequence[str]
"""`"table"`, `"schema.table"`, or `("schema", "table")` for names that hold a dot."""

_MAX_PARTS = 3
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def identifier(name: str, parameter: str = "name") -> str:
    """Return a name in double quotes, so that reserved words and special characters are allowed.

    Args:
      name: of a column, a table or a schema.
      parameter: that the error names.

    Raises:
      ConfigurationError: empty, longer than `MAX_NAME_BYTES` in UTF-8, with a NUL, or not expressible in UTF-8.
    """
    size = len(_utf8(name, parameter))
    if not 1 <= size <= MAX_NAME_BYTES:
        raise ConfigurationError(
            f"{parameter}={name!r} has {size} bytes in UTF-8; a name in Redshift has 1 to {MAX_NAME_BYTES}: rename it"
        )
    return '"' + name.replace('"', '""') + '"'


def qualified(table: TableName, parameter: str = "table") -> str:
    """Return a table's name with its schema, each part quoted: `"schema"."table"`.

    Args:
      table: parts in a tuple, or a text in which dots separate them; see `TableName`.
      parameter: that the error names.

    Raises:
      ConfigurationError: more parts than database, schema and table, an invalid part, or a text that has quotes.
    """
    return ".".join(identifier(part, parameter) for part in table_parts(table, parameter))


def table_parts(table: TableName, parameter: str = "table") -> tuple[str, ...]:
    """Return the parts of a table's name, the table itself last; see `qualified`."""
    if isinstance(table, str) and '"' in table:
        raise ConfigurationError(
            f"{parameter}={table!r} must have no quotes, they are added here; write a name with a quote in a tuple, as "
            "('schema', 'table')"
        )
    parts = tuple(table.split(".")) if isinstance(table, str) else check_names(parameter, table, "'schema.table'")
    if not 1 <= len(parts) <= _MAX_PARTS or not all(parts):
        raise ConfigurationError(
            f"{parameter}={table!r} must be 'table' or 'schema.table'; write a name that holds a dot in a tuple, as "
            "('schema', 'my.table')"
        )
    return parts


def column_list(names: Sequence[str]) -> str:
    """Return the names quoted, in parentheses: `("a", "b")`."""
    return "(" + ", ".join(identifier(name, "columns") for name in names) + ")"


def literal(text: str, parameter: str = "value") -> str:
    r"""Return a text in single quotes; `'` and `\` are written twice, because Redshift takes a backslash for an escape.

    Raises:
      ConfigurationError: a NUL, or not expressible in UTF-8. The text is not shown, it may be a secret.
    """
    _utf8(text, parameter, is_shown=False)
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def folded(name: str) -> str:
    """Return a name as Redshift keeps it: its ASCII letters in lower case, whether it was quoted or not."""
    return name.translate(_LOWER)


def _utf8(text: str, parameter: str, *, is_shown: bool = True) -> bytes:
    shown = f"{parameter}={text!r}" if is_shown else parameter
    if not isinstance(text, str):
        raise ConfigurationError(f"{shown} must be text, not {type(text).__name__}")
    if "\0" in text:
        raise ConfigurationError(f"{shown} has a NUL character, which no statement can hold")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ConfigurationError(f"{shown} has a lone surrogate, which UTF-8 can't express") from exc
