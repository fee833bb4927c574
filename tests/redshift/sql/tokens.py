"""A reader of statements that is independent of their construction: one character at a time, like Redshift's.

Source: "Names and identifiers", "Literals" of Redshift's developer guide; in a literal a backslash takes the next
character as it is.
"""

from __future__ import annotations

from typing import NamedTuple


class Token(NamedTuple):
    kind: str
    text: str


def tokens(statement: str) -> list[Token]:
    """Return the words, symbols, names ("…") and texts ('…') of a statement, unquoted; comments are an error."""
    found: list[Token] = []
    at = 0
    while at < len(statement):
        character = statement[at]
        if character.isspace():
            at += 1
        elif character in "\"'":
            text, at = _quoted(statement, at)
            found.append(Token("name" if character == '"' else "text", text))
        elif character.isalnum() or character == "_":
            end = at
            while end < len(statement) and (statement[end].isalnum() or statement[end] in "_$"):
                end += 1
            found.append(Token("word", statement[at:end]))
            at = end
        else:
            assert statement[at : at + 2] not in ("--", "/*"), f"a comment at {at}: {statement!r}"
            found.append(Token("symbol", character))
            at += 1
    return found


def kinds(statement: str) -> list[str]:
    """Return what users can't choose: kinds of tokens, and words and symbols themselves."""
    return [token.kind if token.kind in ("name", "text") else token.text for token in tokens(statement)]


def texts(statement: str, kind: str) -> list[str]:
    return [token.text for token in tokens(statement) if token.kind == kind]


def _quoted(statement: str, at: int) -> tuple[str, int]:
    quote, text = statement[at], []
    at += 1
    while True:
        assert at < len(statement), f"no end of {quote}: {statement!r}"
        if quote == "'" and statement[at] == "\\":
            text.append(statement[at + 1])
            at += 2
        elif statement[at] != quote:
            text.append(statement[at])
            at += 1
        elif statement[at + 1 : at + 2] == quote:
            text.append(quote)
            at += 2
        else:
            return "".join(text), at + 1
