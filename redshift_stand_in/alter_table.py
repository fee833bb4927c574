"""ALTER TABLE of Redshift: one change for each statement, and fewer kinds of changes than PostgreSQL has."""

from __future__ import annotations

from typing import NamedTuple

from redshift_stand_in.column_types import read_type
from redshift_stand_in.columns import read_column
from redshift_stand_in.errors import RedshiftError, syntax_error
from redshift_stand_in.rendering import Renderer
from redshift_stand_in.tokens import Reader, Token


class Change(NamedTuple):
    """A change of a table.

    Attributes:
      sql: for the server; "" for the statement as it is.
      alone: whether it can't be in a transaction.
    """

    sql: str = ""
    alone: bool = False


def alter_table(renderer: Renderer, tokens: list[Token]) -> Change:
    """Return the change for the server, or raise RedshiftError if Redshift does not support it; dg:r_ALTER_TABLE."""
    _check_single(tokens)
    reader = Reader(tokens)
    reader.expect("ALTER", "TABLE")
    table = reader.qualified()
    head = "ALTER TABLE " + ".".join(renderer.name(part) for part in table)
    # distribution, sort keys and informational keys change nothing here
    nothing = Change(f"{head} OWNER TO CURRENT_USER")
    word = reader.take().word
    if word == "ADD":
        return _add(renderer, reader, head, table[-1].name) or nothing
    if word == "ALTER":
        return _alter(renderer, reader, head) or nothing
    if word == "APPEND":
        raise RedshiftError("ALTER TABLE APPEND is not imitated by the stand-in")
    if word not in ("DROP", "RENAME", "OWNER"):
        raise syntax_error(tokens[2 + len(table)].text)
    if word == "DROP" and not (reader.accept("COLUMN") or reader.accept("CONSTRAINT")):
        reader.take()
    return Change()


def _check_single(tokens: list[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.word, 0)
        if depth == 0 and token.word == ",":
            raise syntax_error(",")


def _add(renderer: Renderer, reader: Reader, head: str, table: str) -> Change | None:
    token = reader.peek
    if token is not None and token.word in ("CONSTRAINT", "UNIQUE", "PRIMARY", "FOREIGN"):
        return None
    reader.accept("COLUMN")
    rest: list[Token] = []
    while reader.peek is not None:
        rest.append(reader.take())
    column = read_column(renderer, rest, table)
    if column.identity:
        raise RedshiftError("ALTER TABLE ADD COLUMN can't add an IDENTITY column")
    if column.not_null and (not column.default or column.default.upper() == "NULL"):
        raise RedshiftError("ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression")
    return Change(f"{head} ADD COLUMN {column.sql()}")


def _alter(renderer: Renderer, reader: Reader, head: str) -> Change | None:
    token = reader.peek
    if token is not None and token.word in ("SORTKEY", "DISTKEY", "DISTSTYLE", "COMPOUND", "ENCODE"):
        return None
    reader.accept("COLUMN")
    column = reader.take()
    if reader.accept("ENCODE"):
        return None
    reader.expect("TYPE")
    new = read_type(reader, column.name)
    if reader.peek is not None:
        raise syntax_error(reader.peek.text)
    if not new.startswith("varchar("):
        raise RedshiftError(f'target data type "{new}" is not supported')
    return Change(f"{head} ALTER COLUMN {renderer.name(column)} TYPE {new}", alone=True)
