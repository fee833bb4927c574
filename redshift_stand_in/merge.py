"""MERGE as Redshift has it: a narrower statement than PostgreSQL's."""

from __future__ import annotations

from redshift_stand_in.errors import RedshiftError, syntax_error
from redshift_stand_in.tokens import Reader, Token


def check_merge(tokens: list[Token]) -> None:
    """Raise unless this is `MERGE INTO t USING s [[AS] a] ON … WHEN MATCHED … WHEN NOT MATCHED …`; dg:r_MERGE."""
    reader = Reader(tokens)
    reader.expect("MERGE", "INTO")
    target = reader.qualified()
    reader.expect("USING")
    source = reader.qualified()
    if [part.name for part in source] == [part.name for part in target]:
        raise RedshiftError("Source and target of MERGE can't be the same table")
    _skip_alias(reader)
    reader.expect("ON")
    _check_condition(_until_when(reader))
    reader.expect("WHEN", "MATCHED", "THEN")
    _check_matched(_until_when(reader))
    reader.expect("WHEN", "NOT", "MATCHED", "THEN", "INSERT")
    rest = _until_when(reader)
    if reader.peek is not None:
        raise syntax_error(reader.peek.text)
    if not any(token.word == "VALUES" for token in rest):
        raise syntax_error("")


def _skip_alias(reader: Reader) -> None:
    token = reader.peek
    if reader.accept("AS") or (token is not None and token.word != "ON"):
        reader.qualified()


def _until_when(reader: Reader) -> list[Token]:
    """Return the tokens up to the next WHEN that does not belong to a CASE."""
    taken: list[Token] = []
    cases = 0
    while (token := reader.peek) is not None:
        if token.word == "WHEN" and cases == 0:
            break
        cases += {"CASE": 1, "END": -1}.get(token.word, 0)
        taken.append(reader.take())
    return taken


def _check_condition(tokens: list[Token]) -> None:
    """Raise unless the condition is equal predicates between columns, joined by AND."""
    reader = Reader([token for token in tokens if token.word not in ("(", ")")])
    try:
        while True:
            reader.qualified()
            reader.expect("=")
            reader.qualified()
            if reader.peek is None:
                return
            reader.expect("AND")
    except RedshiftError as exc:
        raise RedshiftError("MERGE takes equal predicates between columns of source and target only") from exc


def _check_matched(tokens: list[Token]) -> None:
    if [token.word for token in tokens] == ["DELETE"]:
        return
    reader = Reader(tokens)
    reader.expect("UPDATE", "SET")
    while True:
        reader.take()
        reader.expect("=")
        if not _skip_expression(reader):
            return


def _skip_expression(reader: Reader) -> bool:
    """Skip an expression; return whether a comma, and so another column, follows."""
    depth = 0
    while reader.peek is not None:
        word = reader.take().word
        if word == "," and depth == 0:
            return True
        depth += {"(": 1, ")": -1}.get(word, 0)
    return False
