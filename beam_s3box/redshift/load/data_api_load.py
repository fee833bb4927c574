"""A load over the Data API: one batch is one transaction without branches, so its statements check conditions."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import orjson

from beam_s3box.errors import ConfigurationError, LoadError, TransientLoadError
from beam_s3box.redshift.client.data_api import MAX_STATEMENTS, RedshiftDataApi, StatementResult
from beam_s3box.redshift.client.errors import Failure, clean
from beam_s3box.redshift.load.ledger import Decision, entry
from beam_s3box.redshift.load.load_errors import LoadProblem, problems, queries
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.plan import LoadResult, Plan, copy_error
from beam_s3box.redshift.load.statements import bad_keys_guard, copy_count_guard, create_stage
from beam_s3box.redshift.load.table_admin import DataApiTables, missing_table, new_statement_token
from beam_s3box.redshift.manifests import ListedManifest

_MAX_EARLIER = 100
"""Batches of the same text within the hours for which the Data API remembers a token, at most."""

_MAX_STATEMENT_BYTES = 100_000
"""Source: "Amazon Redshift Data API", considerations: 100 KB."""


class Step(NamedTuple):
    """One statement of a batch.

    Attributes:
      sql: the statement.
      role: what a failure of it means.
      manifest: that the statement copies, or whose count it checks.
    """

    sql: str
    role: Literal["ledger", "copy", "count", "keys", "other"] = "other"
    manifest: ListedManifest | None = None


class BatchLoad:
    """One load; a call is one attempt.

    The ledger is read first; the batch locks it, and fails if its entries have changed. The token of a batch is derived
    from its text, so that a process that was killed after it had sent a batch finds the same batch again, and does not
    send a second one. If a batch with the token ended before this load began, the next token is used.
    """

    def __init__(self, api: RedshiftDataApi, plan: Plan) -> None:
        self._api = api
        self._plan = plan
        self._statements = api.connect()
        self._tables = DataApiTables(self._statements)
        self._sent: Decision | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether a batch was sent whose result is unknown."""
        return self._sent is not None

    @staticmethod
    def steps(plan: Plan, decision: Decision, columns: LoadedColumns) -> list[Step]:
        """Return the statements of a load."""
        return [
            Step(plan.ledger.lock()),
            Step(plan.ledger.guard(plan.urls, decision.entries), "ledger"),
            Step(create_stage(plan.target, columns)),
            *(step for manifest in decision.load for step in _copy(plan, manifest, columns)),
            *([Step(bad_keys_guard(plan.target, plan.merge), "keys")] if plan.merge.mode == "upsert" else []),
            *(Step(statement) for statement in plan.finish(decision, columns)),
        ]

    def __call__(self, number: int) -> LoadResult:
        """Load, unless it is loaded already.

        Args:
          number: of the attempt, from 1.

        Raises:
          LoadError: see `RedshiftLoader.load`.
        """
        plan = self._plan
        asked = self._ask_ledger()
        decision = self._decide(asked)
        if not decision.load:
            return self._found(decision, number)
        columns = plan.check_columns(plan.columns or self._tables.loadable(plan.target), decision)
        steps = self.steps(plan, decision, columns)
        _check_limits(steps)
        self._sent = decision
        answer = self._submit(steps, asked.created_at)
        if answer.is_finished:
            return plan.result("loaded", decision, self._count(steps, answer), number)
        error = self._explain(steps, answer)
        # a batch that was aborted may be committed all the same: the ledger shows it, once nothing of the batch runs
        if self._sent is not None and not self._decide(self._ask_ledger()).load:
            return self._found(decision, number)
        raise error

    def _found(self, decision: Decision, number: int) -> LoadResult:
        if self._sent is not None:
            rows = sum(manifest.records for manifest in self._sent.load)
            return self._plan.result("loaded", self._sent, rows, number)
        return self._plan.result("already-loaded", decision, attempts=number)

    def _decide(self, asked: StatementResult) -> Decision:
        return self._plan.decide([entry(row) for row in self._statements.rows(asked)])

    def _ask_ledger(self) -> StatementResult:
        ledger = self._plan.ledger
        answer = self._statements.run(ledger.look_up(self._plan.urls), new_statement_token())
        if not answer.is_finished and _failure(answer.error).is_missing_table:
            # if two sessions create it at the same time, one may fail: what counts is whether it exists
            made = self._statements.run(ledger.create(), new_statement_token())
            answer = self._statements.run(ledger.look_up(self._plan.urls), new_statement_token())
            if not answer.is_finished and not made.is_finished:
                raise _failure(made.message).error(f"creating the ledger {ledger.name}")
        if not answer.is_finished:
            raise _failure(answer.message).error(f"asking the ledger {ledger.name}")
        return answer

    def _submit(self, steps: Sequence[Step], since: float) -> StatementResult:
        for token in itertools.islice(self._tokens(steps), _MAX_EARLIER):
            answer = self._statements.run_batch([step.sql for step in steps], token)
            # an older one failed, or its entry was removed from the ledger since; if it ended just now, the guard of
            # the next one notices
            if answer.created_at >= since:
                return answer
        raise LoadError(
            f"loading into {self._plan.target} was tried {_MAX_EARLIER} times within the hours for which the Data API "
            "remembers a batch: load over a RedshiftConnection (--redshift_dsn), or wait"
        )

    def _tokens(self, steps: Sequence[Step]) -> Iterator[str]:
        text = orjson.dumps([self._api.address, [step.sql for step in steps]], option=orjson.OPT_SORT_KEYS)
        for number in itertools.count():
            yield hashlib.sha256(b"%d %s" % (number, text)).hexdigest()

    def _explain(self, steps: Sequence[Step], answer: StatementResult) -> LoadError:
        """Return the error for a batch that failed."""
        failed = next((number for number, part in enumerate(answer.parts) if part.status == "FAILED"), None)
        if failed is None or answer.status == "ABORTED":
            # all statements succeeded, or none was started, or they were aborted: that does not prove that nothing is
            # committed, as Redshift may go on with a COPY that it has started. The ledger shows it
            return TransientLoadError(f"loading into {self._plan.target}: {answer.message}")
        step, failure = steps[failed], _failure(answer.parts[failed].error or answer.message)
        if failure.is_transient:
            return failure.error(f"loading into {self._plan.target}")
        self._sent = None
        if step.role == "ledger":
            return TransientLoadError(f"loading into {self._plan.target}: another load was first")
        if step.role == "keys":
            return self._plan.key_error("some are null" if self._plan.merge.order_by else "some are null or not unique")
        if step.manifest is not None:
            if step.role == "count":
                return self._plan.row_error(step.manifest)
            found = self._problems(answer, step.manifest)
            return copy_error(failure, step.manifest, self._plan.target, found)
        if failure.is_missing_table:
            return missing_table(self._plan.target, failure)
        return failure.error(f"loading into {self._plan.target}")

    def _count(self, steps: Sequence[Step], answer: StatementResult) -> int:
        """Return the number of rows that COPY loaded, which the batch queries after each.

        The API's own count of a COPY is not used: it may be 0, whatever was loaded.
        """
        rows = 0
        for number, step in enumerate(steps):
            if step.role == "count" and step.manifest is not None:
                least, most = self._plan.copy_settings.row_bounds(step.manifest.records)
                rows += most if least == most else int(self._statements.rows(answer, number)[0][0])
        return rows

    def _problems(self, answer: StatementResult, manifest: ListedManifest) -> tuple[LoadProblem, ...]:
        """Return the problems that the system views have for the batch's session."""
        for query in queries(answer.process):
            asked = self._statements.run(query, new_statement_token())
            if asked.is_finished:
                return problems(self._statements.rows(asked), manifest.files)
        return ()


def _copy(plan: Plan, manifest: ListedManifest, columns: LoadedColumns) -> tuple[Step, Step]:
    bounds = plan.copy_settings.row_bounds(manifest.records)
    return (
        Step(plan.copy(manifest, columns), "copy", manifest),
        Step(copy_count_guard(*bounds), "count", manifest),
    )


def _failure(error: str) -> Failure:
    return Failure(clean(error))


def _check_limits(steps: Sequence[Step]) -> None:
    if any(len(step.sql.encode("utf-8")) > _MAX_STATEMENT_BYTES for step in steps if step.role == "ledger"):
        raise ConfigurationError(
            f"manifests: with those that they replace they make a statement of more than {_MAX_STATEMENT_BYTES:,} "
            "bytes, which the Data API does not take: load fewer at once, or over a driver's connection "
            "(RedshiftConnection, --redshift_dsn)"
        )
    copies = sum(step.role == "copy" for step in steps)
    if len(steps) > MAX_STATEMENTS:
        most = copies - (len(steps) - MAX_STATEMENTS + 1) // 2
        raise ConfigurationError(
            f"manifests={copies} make {len(steps)} statements, and the Data API takes {MAX_STATEMENTS} in one "
            f"transaction: load at most {most} at once, write fewer manifests, or load over a driver's connection "
            "(RedshiftConnection, --redshift_dsn)"
        )
