"""Translates a client's SQL for the real server, and rejects what Redshift rejects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from redshift_stand_in.alter_table import alter_table
from redshift_stand_in.copy_options import CopyCommand, read_copy
from redshift_stand_in.create_table import create_table
from redshift_stand_in.errors import RedshiftError, syntax_error
from redshift_stand_in.merge import check_merge
from redshift_stand_in.names import LongNames
from redshift_stand_in.refusals import refuse
from redshift_stand_in.rendering import Renderer
from redshift_stand_in.tokens import Reader, Token, scan, split


@dataclasses.dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
      sql: for the server.
      original: as the client wrote it.
      verb: its first word, in upper case.
      copy: what to load, if it is a COPY.
      commits: whether it commits the transaction in which it runs.
      alone: its name in an error, if it can't be in a transaction that the client began.
    """

    sql: str
    original: str
    verb: str = ""
    copy: CopyCommand | None = None
    commits: bool = False
    alone: str = ""

    @property
    def own(self) -> bool:
        """Whether the proxy runs it, and the server does not get it as it is."""
        return self.copy is not None or self.commits


def translate(sql: str, names: LongNames) -> list[Statement]:
    """Return the statements of a text, or raise RedshiftError if one of them can't be run."""
    return [_translate(Renderer(sql, names), part) for part in split(scan(sql))]


def _translate(renderer: Renderer, tokens: list[Token]) -> Statement:
    verb = tokens[0].word
    statement = Statement(renderer.render(tokens), renderer.original(tokens), verb)
    if verb == "COPY":
        return dataclasses.replace(statement, copy=read_copy(tokens))
    refuse(tokens, statement.original)
    for words, change in _CHANGES:
        if _begins(tokens, words):
            return change(statement, renderer, tokens)
    return statement


def _begins(tokens: list[Token], words: tuple[str, ...]) -> bool:
    return [token.word for token in tokens[: len(words)]] == list(words)


def _create(statement: Statement, renderer: Renderer, tokens: list[Token]) -> Statement:
    sql = create_table(renderer, tokens)
    return statement if sql is None else dataclasses.replace(statement, sql=sql)


def _alter(statement: Statement, renderer: Renderer, tokens: list[Token]) -> Statement:
    change = alter_table(renderer, tokens)
    return dataclasses.replace(
        statement, sql=change.sql or statement.sql, alone="ALTER TABLE ALTER COLUMN" if change.alone else ""
    )


def _merge(statement: Statement, renderer: Renderer, tokens: list[Token]) -> Statement:
    check_merge(tokens)
    return statement


def _truncate(statement: Statement, renderer: Renderer, tokens: list[Token]) -> Statement:
    """Read `TRUNCATE [TABLE] name`: one table, no options, and the transaction ends; dg:r_TRUNCATE."""
    reader = Reader(tokens[1:])
    reader.accept("TABLE")
    reader.qualified()
    if reader.peek is not None:
        raise syntax_error(reader.peek.text)
    return dataclasses.replace(statement, commits=True)


def _vacuum(statement: Statement, renderer: Renderer, tokens: list[Token]) -> Statement:
    return dataclasses.replace(statement, alone="VACUUM")


_KNOWN_SETTINGS = (
    "query_group", "wlm_query_slot_count", "analyze_threshold_percent", "enable_large_strings_opt_in",
    "enable_case_sensitive_super_attribute", "json_parse_truncate_strings", "json_parse_dedup_attributes",
)  # fmt: skip


def _set(statement: Statement, renderer: Renderer, tokens: list[Token]) -> Statement:
    """Accept the settings that Redshift has and the server does not; they change nothing here."""
    name = tokens[1].text.lower() if len(tokens) > 1 else ""
    if name == "enable_case_sensitive_identifier":
        raise RedshiftError("the stand-in always folds names: enable_case_sensitive_identifier is not imitated")
    if name in _KNOWN_SETTINGS:
        return dataclasses.replace(statement, sql=f"SET redshift.{name} {renderer.render(tokens[2:])}")
    return statement


_Change = Callable[[Statement, Renderer, list[Token]], Statement]
_CHANGES: tuple[tuple[tuple[str, ...], _Change], ...] = (
    (("CREATE",), _create),
    (("ALTER", "TABLE"), _alter),
    (("MERGE",), _merge),
    (("TRUNCATE",), _truncate),
    (("VACUUM",), _vacuum),
    (("SET",), _set),
)
