"""What came in, as it comes: rejected records become dead letters, are counted, warned of, and may be too many."""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from beam_s3box.engine.dead_letters import DeadLetter, DeadLetterBatch
from beam_s3box.engine.input_totals import DeadLetterReason, InputCounter, InputTotals, sum_totals
from beam_s3box.engine.plan import RunPlan
from beam_s3box.errors import DeadLettersError, RecordError
from beam_s3box.metrics import DEAD_LETTERS, Metrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.system.outside import steady_seconds

_LOGGER = logging.getLogger(__name__)

_WARN_SECONDS: Final = 600.0
"""Between two warnings of one reason."""


class TakesNote(Protocol):
    """Takes note of dead letters, as DeadLetterWarnings does."""

    def note(self, run_id: str, reason: DeadLetterReason) -> None:
        """Take note of dead letters of a run."""
        ...


class DeadLetterWarnings:
    """Warns of dead letters: of the first of each reason at once, of more now and then. One serves a process.

    Args:
      clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = steady_seconds) -> None:
        self._clock = clock
        self._next: dict[tuple[str, str], float] = {}
        self._unreported: collections.Counter[tuple[str, str]] = collections.Counter()

    def note(self, run_id: str, reason: DeadLetterReason) -> None:
        """Take note of dead letters of a run."""
        key = run_id, reason.reason
        self._unreported[key] += reason.records
        now = self._clock()
        if now < self._next.get(key, now):
            return
        what, until = ("more dead letters", "") if key in self._next else ("dead letters", " so far")
        self._next[key] = now + _WARN_SECONDS
        all_of_them = dataclasses.replace(reason, records=self._unreported.pop(key))
        _LOGGER.warning("%s of run %s%s: %s", what, run_id, until, all_of_them)


WARNINGS: Final = DeadLetterWarnings()
"""Those of this process."""


class Intake:
    """Counts the records of a run, or of a part of it. For one thread.

    Args:
      plan: of the run.
      counts: takes the figures.
      warnings: logs dead letters.
    """

    def __init__(self, plan: RunPlan, counts: Metrics, warnings: TakesNote = WARNINGS) -> None:
        self._plan = plan
        self._counts = counts
        self._warnings = warnings
        self._counter = InputCounter()
        self._rejected = 0

    def count(
        self, records: int, rejected: Sequence[RejectedRecord], origin: LineBatch | Sequence[RejectedRow] | None = None
    ) -> DeadLetterBatch:
        """Count records that came in together, and return those that were rejected as dead letters.

        Args:
          records: all of them.
          rejected: those that can't be packed.
          origin: what they came as, see DeadLetterBatch.

        Raises:
          RecordError: one was rejected, and the run is to fail then; says why, where it is, how it begins, and the
            way out.
          DeadLettersError: these are more than the run may have.
        """
        letters = DeadLetterBatch(rejected, self._plan.selector, origin)
        if letters and self._plan.fail_on_bad_record:
            raise _failure(letters[0])
        reasons = self._counter.count(letters.source or "", records, letters)
        if letters:
            self._tell(len(letters), reasons.values())
            self._rejected += len(letters)
            limit = self._plan.dead_letter_limit
            if limit.records is not None and self._rejected > limit.records:
                self._check_so_far()
        return letters

    def _check_so_far(self) -> None:
        plan = self._plan
        try:
            plan.dead_letter_limit.check_so_far(sum_totals(self.totals().values()))
        except DeadLettersError as exc:
            # a part of bounded input has too many, so the whole has, however often a runner tries
            if plan.claim.bounded:
                plan.claim.fail_by(plan.store, exc)
            raise

    def totals(self) -> dict[str, InputTotals]:
        """Return the sums by file, "" for records of which nobody knows it."""
        return self._counter.totals()

    def run_totals(self) -> InputTotals:
        """Return the sums of a run of which this is all of the input."""
        return sum_totals(totals.of_file(source) for source, totals in self.totals().items())

    def _tell(self, letters: int, reasons: Iterable[DeadLetterReason]) -> None:
        self._counts.count(DEAD_LETTERS, letters)
        for reason in reasons:
            self._counts.count(f"{DEAD_LETTERS}_{reason.reason.replace('-', '_')}", reason.records)
            self._warnings.note(self._plan.layout.run_id, reason)


def _failure(first: DeadLetter) -> RecordError:
    place = DeadLetterReason.of(first, 1).place
    return RecordError(
        f"{first.reason}: {first.detail}{place}; the record begins {first.raw[:200]!r}. "
        "on_bad_record='dead_letter' keeps such records aside instead",
        first.reason,
    )
