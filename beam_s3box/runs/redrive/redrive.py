"""Tries the dead letters of a run again, into a run of their own that names the first as its parent.

Each dead letter is in one redrive, see `beam_s3box.runs.redrive.selections`; a redrive that was killed is done again
under its run id, which takes over what the first attempt did not finish. What is still bad is a dead letter of the new
run, so that `dead letters of the old = accepted + dead letters of the new`.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from beam_s3box.engine.line_packer import LinePacker, Packed
from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.run_reader import Run, find_run
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.engine.run_totals import RunInput
from beam_s3box.errors import ConfigurationError, RunExistsError
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.runs.redrive.census import Census, check_numbers, once, read_pairs
from beam_s3box.runs.redrive.fix import NO_FIX, Fix, StillBad
from beam_s3box.runs.redrive.letters import StoredLetter
from beam_s3box.runs.redrive.selections import Pair, Selection, owned_pairs, select
from beam_s3box.shards.runs import new_run_id
from beam_s3box.sizes import KiB

_BATCH_BYTES: Final = 512 * KiB

Mismatch: TypeAlias = Literal["fail", "ignore"]


class Redriven(NamedTuple):
    """One run that has dead letters of another one.

    Attributes:
      run_id: of that run.
      selection: which dead letters it has.
      plan: of the run, None if it had finished before.
      packed: what it did, None if it had finished before.
      record: of the run that had finished before; None otherwise.
    """

    run_id: str
    selection: Selection
    plan: RunPlan | None = None
    packed: Packed | None = None
    record: RunRecord | None = None


class Place(NamedTuple):
    """What neighbours have in common, see `LineBatch`."""

    source: str
    offset: int = 0
    domain: str | None = None
    has_positions: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Redrive:
    """Tries dead letters of a run again.

    Attributes:
      run: that has the dead letters.
      plan_of: returns the plan of a run with this id, at the same destination.
      reasons: of the dead letters; None for all.
      fix: makes records of them.
      mismatch: what happens if the store holds another number of dead letters than the run has counted: `"fail"`, or
        `"ignore"` to write those that are there.
      keeps_domains: whether the domain of a dead letter is that of its record, as where a topic named it.
      counts: takes the figures while it works.
    """

    run: Run
    plan_of: Callable[[str], RunPlan]
    reasons: tuple[str, ...] | None = None
    fix: Fix = NO_FIX
    mismatch: Mismatch = "fail"
    keeps_domains: bool = False
    counts: MemoryMetrics = dataclasses.field(default_factory=MemoryMetrics)

    def do(self) -> list[Redriven]:
        """Write the dead letters that no redrive has yet, and finish redrives that did not; return all that have some.

        Raises:
          ConfigurationError: the run does not count yet, or has no dead letters of a reason.
          RunExistsError: another redrive took this one over.
          S3BoxError: dead letters are damaged, or more or fewer than the run counted.
          StoreError: the store refused or failed, after its retries.
        """
        _check_counts(self.run.record)
        census = Census.of(self.run)
        pairs = census.pairs(self.reasons)
        if self.mismatch == "fail":
            check_numbers(self.run, census, self.reasons)
        if not pairs:
            return []
        new_id = str(new_run_id())
        self.plan_of(new_id)  # before anything is selected: a setting may not work
        selections = select(self.run.store, self.run.layout, pairs, new_id, time.time())
        wanted = set(pairs)
        return [
            self._finish(selections, number, census)
            for number in range(len(selections))
            if not wanted.isdisjoint(owned_pairs(selections, number))
        ]

    def _finish(self, selections: list[Selection], number: int, census: Census) -> Redriven:
        """Return the finished run of a selection, after doing its work if that was not done."""
        selection = selections[number]
        before = self._finished(selection)
        if before is not None:
            return before
        try:
            plan = self.plan_of(selection.run_id)
            return Redriven(selection.run_id, selection, plan, self._write(plan, selections, number, census))
        except RunExistsError:
            # two at the same time: the other one may have finished it
            after = self._finished(selection)
            if after is None:
                raise
            return after

    def _finished(self, selection: Selection) -> Redriven | None:
        try:
            record = find_run(self.run.store, selection.run_id).record
        except ConfigurationError:
            return None  # it was selected, and nothing else was done
        return Redriven(selection.run_id, selection, record=record) if record.state == "finished" else None

    def _write(self, plan: RunPlan, selections: list[Selection], number: int, census: Census) -> Packed:
        owned = owned_pairs(selections, number)
        earlier: set[Pair] = set().union(*(selection.pairs for selection in selections[:number]))
        # what an earlier redrive has may stand in files of this one again
        again = frozenset(pair for pair in earlier if census.has_repeats(pair[1]))
        store = self.run.store
        letters = once(
            itertools.chain(read_pairs(store, census, again - owned), read_pairs(store, census, owned)), census
        )
        mine = (stored for stored in letters if (stored.key, stored.letter.reason) in owned)
        with LinePacker(plan, self.counts) as packer:
            for batch, originals in self._batches(mine):
                packer.pack(batch, originals)
            packer.source = RunInput(files=len({file for file, _ in owned}))
            return packer.finish()

    def _batches(self, letters: Iterable[StoredLetter]) -> Iterator[tuple[LineBatch | RejectedLines, list[bytes]]]:
        """Yield what is packed together, and what it was made of; dead letters keep their place in the input."""
        waiting = _Waiting()
        for stored in letters:
            place, fixed = self._place_of(stored), self.fix.apply(stored.letter)
            if waiting and not waiting.takes(place, fixed):
                yield waiting.batch()
                waiting = _Waiting()
            waiting.add(stored, place, fixed)
        if waiting:
            yield waiting.batch()

    def _place_of(self, stored: StoredLetter) -> Place:
        """Return the place of a dead letter in the input or, where nobody knows that, in the store."""
        letter = stored.letter
        domain = letter.domain if self.keeps_domains else None
        if not stored.is_placed:
            return Place(self.run.store.url(stored.key), 0, domain)
        if letter.line:
            return Place(str(letter.source), int(letter.offset or 0), domain)
        return Place(str(letter.source), 0, domain, has_positions=True)


class _Waiting:
    """Neighbours of one place in the input, all of them records, or all of them still bad for one reason."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._originals: list[bytes] = []
        self._numbers: list[int | str | None] = []
        self._bytes = 0
        self._place: Place | None = None
        self._bad: StillBad | None = None

    def __bool__(self) -> bool:
        return bool(self._lines)

    def takes(self, place: Place, fixed: bytes | StillBad) -> bool:
        is_same = self._place == place and self._bad == (fixed if isinstance(fixed, StillBad) else None)
        return is_same and self._bytes < _BATCH_BYTES

    def add(self, stored: StoredLetter, place: Place, fixed: bytes | StillBad) -> None:
        letter = stored.letter
        self._place, self._bad = place, fixed if isinstance(fixed, StillBad) else None
        line = letter.raw if isinstance(fixed, StillBad) else fixed
        self._lines.append(line)
        self._originals.append(letter.raw)
        self._numbers.append(stored.line if not stored.is_placed else letter.line or letter.offset)
        self._bytes += len(line)

    def batch(self) -> tuple[LineBatch | RejectedLines, list[bytes]]:
        place = self._place or Place("")
        lines = LineBatch(self._lines, place.source, self._numbers, place.offset, place.domain, place.has_positions)
        return (lines if self._bad is None else RejectedLines(*self._bad, lines)), self._originals


def _check_counts(record: RunRecord) -> None:
    """Raise ConfigurationError for a run whose dead letters are not final."""
    if record.bounded and record.state != "finished":
        what = "has not finished" if record.state == "running" else "failed"
        raise ConfigurationError(
            f"run_id={record.run_id!r} {what}: nothing of it counts, and its records come again when it is run again; "
            "its dead letters do then, too"
        )
