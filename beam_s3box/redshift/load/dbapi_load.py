"""A load over a DB-API connection: one transaction, which reads the ledger first and may be repeated as a whole."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from beam_s3box.errors import TransientLoadError
from beam_s3box.redshift.client.sessions import Connect, Session, StatementRejected
from beam_s3box.redshift.load.ledger import Decision, Entry, entry, in_parts
from beam_s3box.redshift.load.load_errors import LoadProblem, problems, queries
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.plan import LoadResult, Plan, copy_error
from beam_s3box.redshift.load.statements import LAST_COPY_COUNT, count_bad_keys, create_stage
from beam_s3box.redshift.load.table_admin import loadable_columns, missing_table
from beam_s3box.redshift.manifests import ListedManifest

_ANOTHER_MADE_IT = ("23505", "42P07", "42710")
"""SQLSTATEs of a CREATE TABLE IF NOT EXISTS that lost a race."""


class _Sent(NamedTuple):
    """A commit that was sent, and whose response may be lost."""

    decision: Decision
    rows: int


class SessionLoad:
    """One load; a call is one attempt.

    Every attempt begins by locking and reading the ledger. So after a connection that was lost at COMMIT the next
    attempt waits until the server has ended the first transaction, and then knows whether it was committed.
    """

    def __init__(self, connect: Connect, plan: Plan) -> None:
        self._connect = connect
        self._plan = plan
        self._sent: _Sent | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether a commit was sent whose result is unknown."""
        return self._sent is not None

    def __call__(self, number: int) -> LoadResult:
        """Load, unless it is loaded already.

        Args:
          number: of the attempt, from 1.

        Raises:
          LoadError: see `RedshiftLoader.load`.
        """
        with Session(self._connect, self._plan.copy_settings.secrets) as session:
            try:
                return self._run(session, number)
            except StatementRejected as exc:
                raise exc.failure.error(f"loading into {self._plan.target}") from exc

    def _run(self, session: Session, number: int) -> LoadResult:
        plan = self._plan
        decision = plan.decide(self._look_up(session))
        if not decision.load:
            return self._found(decision, number)
        columns = self._prepare(session, decision)
        rows = sum(self._copy(session, manifest, columns) for manifest in decision.load)
        self._check_keys(session)
        for statement in plan.finish(decision, columns):
            session.execute(statement)
        self._sent = _Sent(decision, rows)
        session.commit()
        return plan.result("loaded", decision, rows, number)

    def _found(self, decision: Decision, number: int) -> LoadResult:
        if self._sent is not None:
            return self._plan.result("loaded", self._sent.decision, self._sent.rows, number)
        return self._plan.result("already-loaded", decision, attempts=number)

    def _look_up(self, session: Session) -> list[Entry]:
        try:
            session.execute(self._plan.ledger.lock())
        except StatementRejected as exc:
            if not exc.failure.is_missing_table:
                raise
            self._create_ledger(session)
            session.execute(self._plan.ledger.lock())
        return [
            entry(row) for urls in in_parts(self._plan.urls) for row in session.query(self._plan.ledger.look_up(urls))
        ]

    def _create_ledger(self, session: Session) -> None:
        session.rollback()
        try:
            session.execute(self._plan.ledger.create())
            session.commit()
        except StatementRejected as exc:
            session.rollback()
            if exc.failure.sqlstate not in _ANOTHER_MADE_IT:
                raise exc.failure.error(f"creating the ledger {self._plan.ledger.name}") from exc

    def _prepare(self, session: Session, decision: Decision) -> LoadedColumns:
        plan = self._plan
        columns = plan.check_columns(plan.columns or loadable_columns(session, plan.target), decision)
        try:
            session.execute(create_stage(plan.target, columns))
        except StatementRejected as exc:
            if not exc.failure.is_missing_table:
                raise
            raise missing_table(plan.target, exc.failure) from exc
        return columns

    def _copy(self, session: Session, manifest: ListedManifest, columns: LoadedColumns) -> int:
        try:
            session.execute(self._plan.copy(manifest, columns))
        except StatementRejected as exc:
            found = self._problems(session, manifest)
            raise copy_error(exc.failure, manifest, self._plan.target, found) from exc
        rows = int(session.query(LAST_COPY_COUNT)[0][0])
        self._plan.check_rows(manifest, rows)
        return rows

    def _problems(self, session: Session, manifest: ListedManifest) -> tuple[LoadProblem, ...]:
        """Return the problems that the system views have; if none can be read, the error stays as it is."""
        for query in queries(None):
            # a rejected query ends its transaction, and so did the COPY
            with contextlib.suppress(StatementRejected, TransientLoadError):
                session.rollback()
                return problems(session.query(query), manifest.files)
        return ()

    def _check_keys(self, session: Session) -> None:
        if self._plan.merge.mode != "upsert":
            return
        null, twice = (int(number) for number in session.query(count_bad_keys(self._plan.target, self._plan.merge))[0])
        if self._plan.merge.order_by is not None:
            if null:
                raise self._plan.key_error(f"{null} are null")
        elif null or twice:
            raise self._plan.key_error(f"{null} are null, {twice} are not unique")
