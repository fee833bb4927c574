"""CREATE TABLE of Redshift for the server: its types, keys, encodings and constraints that are not enforced."""

from __future__ import annotations

from redshift_stand_in.columns import ColumnDefinition, read_column, skip_parentheses
from redshift_stand_in.errors import RedshiftError, syntax_error
from redshift_stand_in.rendering import Renderer
from redshift_stand_in.tokens import Reader, Token

_MAX_COLUMNS = 1_600
_CONSTRAINTS = ("CONSTRAINT", "UNIQUE", "PRIMARY", "FOREIGN")


def create_table(renderer: Renderer, tokens: list[Token]) -> str | None:
    """Return the server's CREATE TABLE, or None if this creates something else; dg:r_CREATE_TABLE_NEW."""
    reader = Reader(tokens)
    reader.expect("CREATE")
    reader.accept("LOCAL")
    temporary = reader.accept("TEMP") or reader.accept("TEMPORARY")
    if not reader.accept("TABLE"):
        return None
    head = "CREATE TEMP TABLE" if temporary else "CREATE TABLE"
    if reader.accept("IF", "NOT", "EXISTS"):
        head += " IF NOT EXISTS"
    table = reader.qualified()
    head += " " + ".".join(renderer.name(part) for part in table)
    token = reader.peek
    if token is None or token.word != "(":
        return _as_query(renderer, reader, head)
    items = _items(reader)
    if _is_names_only(items):
        names = ", ".join(renderer.name(item[0]) for item in items)
        return _as_query(renderer, reader, f"{head} ({names})")
    body = _body(renderer, items, table[-1].name)
    _skip_attributes(reader)
    if reader.peek is not None:
        raise syntax_error(reader.peek.text)
    return f"{head} ({body})"


def _as_query(renderer: Renderer, reader: Reader, head: str) -> str:
    """Return CREATE TABLE AS; dg:r_CREATE_TABLE_AS."""
    _skip_attributes(reader)
    reader.expect("AS")
    rest: list[Token] = []
    while reader.peek is not None:
        rest.append(reader.take())
    if not rest:
        raise syntax_error("")
    return f"{head} AS {renderer.render(rest)}"


def _items(reader: Reader) -> list[list[Token]]:
    """Return the tokens between the commas of the next list."""
    reader.expect("(")
    items: list[list[Token]] = [[]]
    depth = 0
    while True:
        token = reader.take()
        if depth == 0 and token.word == ")":
            break
        if depth == 0 and token.word == ",":
            items.append([])
            continue
        depth += {"(": 1, ")": -1}.get(token.word, 0)
        items[-1].append(token)
    if not all(items):
        raise syntax_error(")")
    return items


def _is_names_only(items: list[list[Token]]) -> bool:
    return all(len(item) == 1 for item in items)


def _body(renderer: Renderer, items: list[list[Token]], table: str) -> str:
    columns: list[ColumnDefinition] = []
    likes: list[str] = []
    keys: set[str] = set()
    for item in items:
        if item[0].word == "LIKE":
            likes.append(_like(renderer, item))
        elif item[0].word in _CONSTRAINTS:
            keys |= _constraint(renderer, item)
        elif item[0].word in ("CHECK", "EXCLUDE"):
            raise RedshiftError(f"{item[0].word} constraints are not supported")
        else:
            columns.append(read_column(renderer, item, table))
    if len(columns) > _MAX_COLUMNS:
        raise RedshiftError(f"tables can have at most {_MAX_COLUMNS} columns", "54011")
    for column in columns:
        column.not_null = column.not_null or column.name in keys
    return ", ".join([*likes, *(column.sql() for column in columns)])


def _like(renderer: Renderer, item: list[Token]) -> str:
    reader = Reader(item[1:])
    parent = ".".join(renderer.name(part) for part in reader.qualified())
    defaults = ""
    if reader.accept("INCLUDING", "DEFAULTS"):
        defaults = " INCLUDING DEFAULTS"
    else:
        reader.accept("EXCLUDING", "DEFAULTS")
    if reader.peek is not None:
        raise syntax_error(reader.peek.text)
    return f"LIKE {parent}{defaults}"


def _constraint(renderer: Renderer, item: list[Token]) -> set[str]:
    """Return the columns that a constraint makes NOT NULL; it is not enforced beyond that."""
    reader = Reader(item)
    if reader.accept("CONSTRAINT"):
        reader.take()
    primary = reader.accept("PRIMARY", "KEY")
    foreign = not primary and reader.accept("FOREIGN", "KEY")
    if not primary and not foreign:
        reader.expect("UNIQUE")
    names = [renderer.name(part[0]) for part in _items(reader)]
    if foreign:
        reader.expect("REFERENCES")
        reader.qualified()
        skip_parentheses(reader)
    if reader.peek is not None:
        raise syntax_error(reader.peek.text)
    return set(names) if primary else set()


def _skip_attributes(reader: Reader) -> None:
    """Skip the distribution, the sort keys and similar clauses of a table."""
    while (token := reader.peek) is not None and token.word != "AS":
        word = reader.take().word
        if word in ("BACKUP", "DISTSTYLE"):
            reader.take()
        elif word == "ENCODE":
            reader.expect("AUTO")
        elif word in ("COMPOUND", "INTERLEAVED"):
            reader.expect("SORTKEY")
            skip_parentheses(reader)
        elif word == "SORTKEY":
            if not reader.accept("AUTO"):
                skip_parentheses(reader)
        elif word == "DISTKEY":
            skip_parentheses(reader)
        else:
            raise syntax_error(token.text)
