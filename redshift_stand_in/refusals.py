"""Statements that PostgreSQL runs and Redshift does not; dg:c_unsupported-postgresql-features and pages named below."""

from __future__ import annotations

from collections.abc import Iterator

from redshift_stand_in.errors import RedshiftError, syntax_error
from redshift_stand_in.tokens import Token

_COMMANDS = (
    ("CREATE", "INDEX"), ("CREATE", "UNIQUE", "INDEX"), ("DROP", "INDEX"), ("ALTER", "INDEX"), ("REINDEX",),
    ("CREATE", "SEQUENCE"), ("CREATE", "TRIGGER"), ("CREATE", "EXTENSION"), ("CREATE", "TYPE"), ("CREATE", "DOMAIN"),
    ("CREATE", "UNLOGGED"), ("SAVEPOINT",), ("RELEASE",), ("ROLLBACK", "TO"), ("LISTEN",), ("NOTIFY",), ("DO",),
    ("CREATE", "RULE"), ("CREATE", "TABLESPACE"), ("CLUSTER",),
)  # fmt: skip
_FUNCTIONS = (
    "STRING_AGG", "ARRAY_AGG", "JSON_AGG", "JSONB_AGG", "JSON_BUILD_OBJECT", "JSONB_BUILD_OBJECT", "ROW_TO_JSON",
    "TO_JSON", "TO_JSONB", "GEN_RANDOM_UUID", "PG_ADVISORY_LOCK", "PG_ADVISORY_XACT_LOCK", "PG_TRY_ADVISORY_LOCK",
    "PG_TRY_ADVISORY_XACT_LOCK", "PG_SLEEP", "SETVAL", "NEXTVAL", "CURRVAL",
)  # fmt: skip
_CAST_TYPES = ("JSON", "JSONB", "UUID", "BYTEA", "REGCLASS")
_DML = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH")


def refuse(tokens: list[Token], original: str) -> None:
    """Raise RedshiftError for a statement that Redshift would reject."""
    words = [token.word for token in tokens]
    for command in _COMMANDS:
        if words[: len(command)] == list(command):
            raise RedshiftError(f'SQL command "{original}" not supported on Redshift tables.')
    for position, token in _oddities(tokens, words):
        following = words[position + 1 : position + 2]
        if token.word in _FUNCTIONS and following == ["("]:
            raise RedshiftError(f"function {token.text.lower()}() does not exist", "42883")
        if token.word == "::" and following and following[0] in _CAST_TYPES:
            raise RedshiftError(f'type "{tokens[position + 1].text.lower()}" does not exist', "42704")
    _refuse_clauses(tokens, words)


def _oddities(tokens: list[Token], words: list[str]) -> Iterator[tuple[int, Token]]:
    for position, word in enumerate(words):
        if word == "::" or word in _FUNCTIONS:
            yield position, tokens[position]


def _refuse_clauses(tokens: list[Token], words: list[str]) -> None:
    verb = words[0]
    if verb in _DML:
        _refuse_word(tokens, words, "RETURNING")
        _refuse_pair(tokens, words, ("ON", "CONFLICT"))
        _refuse_pair(tokens, words, ("OVERRIDING",))
    if verb == "CREATE":
        _refuse_pair(tokens, words, ("ON", "COMMIT"))
    if verb == "LOCK":
        # dg:r_LOCK: only an ACCESS EXCLUSIVE lock
        _refuse_word(tokens, words, "IN")
        _refuse_word(tokens, words, "NOWAIT")
    _refuse_pair(tokens, words, ("FILTER", "("))
    if _find(words, ("DISTINCT", "ON")) is not None:
        raise RedshiftError("SELECT DISTINCT ON is not supported")
    if _find(words, ("ARRAY", "[")) is not None:
        raise syntax_error("[")
    if _find(words, ("FROM", "(", "VALUES")) is not None:
        raise RedshiftError("VALUES lists used as constant tables are not supported")


def _refuse_word(tokens: list[Token], words: list[str], word: str) -> None:
    _refuse_pair(tokens, words, (word,))


def _refuse_pair(tokens: list[Token], words: list[str], phrase: tuple[str, ...]) -> None:
    position = _find(words, phrase)
    if position is not None:
        raise syntax_error(tokens[position].text)


def _find(words: list[str], phrase: tuple[str, ...]) -> int | None:
    for position in range(len(words) - len(phrase) + 1):
        if tuple(words[position : position + len(phrase)]) == phrase:
            return position
    return None
