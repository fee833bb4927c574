"""Splits SQL into tokens, as Redshift reads it: a backslash escapes in a literal, names are folded to lower case."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import NamedTuple

from redshift_stand_in.errors import SYNTAX, RedshiftError, syntax_error
from redshift_stand_in.reserved import RESERVED

MAX_NAME = 127
"""Bytes of an identifier, dg:r_names."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<string>[eEnN]?'(?:[^'\\]|''|\\.)*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?P<tag>[a-zA-Z_]*)\$.*?\$(?P=tag)\$)
    | (?P<param>\$\d+)
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_\u0080-\U0010ffff][\w$]*)
    | (?P<op>::|:=|<=|>=|<>|!=|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)|''", re.DOTALL)
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Token(NamedTuple):
    """One token.

    Attributes:
      kind: word, quoted, string, number, param, dollar or op.
      text: text as it is in the statement.
      start: its position.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The position of its end."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """The keyword in upper case, or an operator; "" for names in quotes, literals and numbers."""
        return self.text.upper() if self.kind in ("word", "op") else ""

    @property
    def name(self) -> str:
        """The identifier as Redshift stores it."""
        if self.kind == "quoted":
            inner = self.text[1:-1].replace('""', '"')
        elif self.kind == "word" and self.word not in RESERVED:
            inner = self.text
        else:
            raise syntax_error(self.text)
        folded = inner.translate(_LOWER)
        if not folded:
            raise RedshiftError('zero-length delimited identifier at or near """"', SYNTAX)
        if len(folded.encode()) > MAX_NAME:
            raise RedshiftError(f'identifier "{folded}" exceeds the limit of {MAX_NAME} bytes', "42622")
        return folded

    @property
    def value(self) -> str:
        """The text of a literal."""
        if self.kind != "string":
            raise syntax_error(self.text)
        return _ESCAPE.sub(_unescape, self.text[self.text.index("'") + 1 : -1])


def _unescape(match: re.Match[str]) -> str:
    escaped = match.group(1)
    if escaped is None:
        return "'"
    if escaped[0] in string.octdigits:
        return chr(int(escaped, 8))
    return _CONTROL.get(escaped, escaped)


def scan(sql: str) -> list[Token]:
    """Split SQL into tokens; white space and comments are left out."""
    tokens: list[Token] = []
    position = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None or found.lastgroup is None:
            raise syntax_error(sql[position])
        kind = "dollar" if found.group("dollar") else found.lastgroup
        if kind == "comment":
            position = _after_comment(sql, position)
            continue
        if kind == "op" and found.group() in "'\"":
            raise RedshiftError(f'unterminated quoted string at or near "{sql[position:]}"', SYNTAX)
        if kind != "space":
            tokens.append(Token(kind, found.group(), position))
        position = found.end()
    return tokens


def _after_comment(sql: str, start: int) -> int:
    depth, position = 0, start
    for found in re.compile(r"/\*|\*/").finditer(sql, start):
        depth += 1 if found.group() == "/*" else -1
        position = found.end()
        if depth == 0:
            return position
    raise RedshiftError(f'unterminated /* comment at or near "{sql[start:]}"', SYNTAX)


def split(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the statements between semicolons, without empty ones."""
    statements: list[list[Token]] = [[]]
    for token in tokens:
        if token.word == ";":
            statements.append([])
        else:
            statements[-1].append(token)
    return [statement for statement in statements if statement]


class Reader:
    """Reads tokens one after the other."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = list(tokens)
        self._next = 0

    @property
    def peek(self) -> Token | None:
        """The next token, or None at the end."""
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self) -> Token:
        """Return the next token and go on; a syntax error at the end."""
        token = self.peek
        if token is None:
            raise syntax_error("")
        self._next += 1
        return token

    def accept(self, *words: str) -> bool:
        """Skip these words if they come next, in this order."""
        following = self._tokens[self._next : self._next + len(words)]
        if [token.word for token in following] != list(words):
            return False
        self._next += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Skip these words, or raise a syntax error if others come."""
        for word in words:
            token = self.take()
            if token.word != word:
                raise syntax_error(token.text)

    def string(self) -> str:
        """Return the text of the literal that comes next."""
        return self.take().value

    def qualified(self) -> list[Token]:
        """Return the tokens of a name with its schema, if it has one."""
        parts = [self._name()]
        while self.accept("."):
            parts.append(self._name())
        return parts

    def _name(self) -> Token:
        token = self.take()
        token.name  # noqa: B018 - it raises if this can't be a name
        return token
