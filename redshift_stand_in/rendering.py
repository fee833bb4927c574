"""Tokens back to SQL, with names for the server."""

from __future__ import annotations

from collections.abc import Sequence

from redshift_stand_in.names import SERVER_BYTES, LongNames
from redshift_stand_in.tokens import Token

_SYNTAX_OF_THE_SERVER = ("JSON_SERIALIZE",)
"""Functions of Redshift whose names are keywords to the server, unless they are in quotes."""

_OTHER_CATALOGS = {"PG_ATTRDEF": "redshift_attrdef"}
"""Catalogs of Redshift that the server has in another form."""


class Renderer:
    """Writes parts of a statement.

    Args:
      sql: the text that was split into tokens.
      names: shortens long names.
    """

    def __init__(self, sql: str, names: LongNames) -> None:
        self._sql = sql
        self._names = names

    def original(self, tokens: Sequence[Token]) -> str:
        """Return the text of consecutive tokens, as the client wrote it."""
        return self._sql[tokens[0].start : tokens[-1].end] if tokens else ""

    def render(self, tokens: Sequence[Token]) -> str:
        """Return the text of consecutive tokens, with names folded and shortened."""
        if not tokens:
            return ""
        parts: list[str] = []
        position = tokens[0].start
        for token in tokens:
            parts.append(self._sql[position : token.start])
            if token.word in _OTHER_CATALOGS:
                parts.append(_OTHER_CATALOGS[token.word])
            elif token.word in _SYNTAX_OF_THE_SERVER:
                parts.append(f'"{token.text.lower()}"')
            else:
                parts.append(self.name(token) if self._is_changed(token) else token.text)
            position = token.end
        return "".join(parts)

    def name(self, token: Token) -> str:
        """Return an identifier in quotes."""
        return '"' + self._names.short(token.name).replace('"', '""') + '"'

    def _is_changed(self, token: Token) -> bool:
        # a plain name is folded by the server itself
        return token.kind == "quoted" or (token.kind == "word" and len(token.text.encode()) > SERVER_BYTES)
