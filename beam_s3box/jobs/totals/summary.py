"""WriteSummary: the pipeline itself adds up what it wrote, so that totals are right on every runner.

A launcher sees a remote job's counters, and those of retried bundles may count twice; the elements of the PCollections
count once. The sums are written as one small object, `runs/{run_id}/{attempt}/summary.json`, which the launcher reads
back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import apache_beam as beam
import orjson

from beam_s3box.cli.console.report import RunReport
from beam_s3box.cli.console.tallies import (
    WHOLE_RUN,
    Names,
    Tally,
    render_summary,
    tally_of_input,
    tally_of_manifest,
    tally_of_shard,
)
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.dead_letter_limit import DeadLetterLimit
from beam_s3box.engine.input_totals import InputTotals, StreamName
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_totals import RunInput, joined_input
from beam_s3box.engine.shard_rows import Counts, detail_of
from beam_s3box.errors import DeadLettersError
from beam_s3box.jobs.read.counts import READ, ReadCount, note_of
from beam_s3box.jobs.read.earlier_run import noted
from beam_s3box.jobs.totals.run_objects import at_the_end, write_object
from beam_s3box.shards.model import ShardFile, Size
from beam_s3box.sources.positions import PartRange
from beam_s3box.stores import Store
from beam_s3box.transforms.input_totals import SumInput
from beam_s3box.transforms.runtime import claim_once


def summary_key(claim: RunClaim) -> str:
    """Return the key of the summary that an execution of a run writes; no other one reads it."""
    return claim.layout.of_attempt(claim.attempt, "summary")


class Summary(NamedTuple):
    """What a finished run says of itself.

    Attributes:
      report: its totals.
      note: a sentence about its input; empty for none.
      failure: why it failed all the same, where that was known too late to list nothing; empty for no failure.
    """

    report: RunReport
    note: str
    failure: str


def read_summary(store: Store, claim: RunClaim, records_in: Callable[[], int]) -> Summary:
    """Return the summary that a pipeline wrote.

    Args:
      store: where to.
      claim: of the execution.
      records_in: how many records were read, where the pipeline did not count them itself.

    Raises:
      StoreError: it can't be read.
    """
    values = orjson.loads(store.get(summary_key(claim)))
    counts: Mapping[str, int] | None = values.pop(_READ_COUNTS, None)
    number = records_in() if counts is None else counts.get(READ, 0)
    failure = values.pop(_FAILURE, "")
    return Summary(RunReport.of_summary(orjson.dumps(values), number), note_of(counts or {}), failure)


_TALLIES = tuple[tuple[str, str], Any]
"""Names and a Tally, which is pickled: it holds what no row of a schema does."""
_ROWS = tuple[str, tuple[tuple[str, str], Any]]
"""All under one key: names with a Tally, or `_RANGE` with a PartRange."""

_READ_COUNTS: Final = "read"
_FAILURE: Final = "failure"
_NO_DOMAIN: Final = ""
"""No stream has an empty name: what is counted of the input stands there."""
_RANGE: Final = ("", "@range")


class WriteSummary(beam.PTransform):
    """Adds up the result of a write in the global window, and writes the sums when the input has ended.

    Takes a WriteToS3BoxResult as a plain tuple, and behind it, if that is counted, a PCollection of ReadCount, and of
    PartRange, if a source is read that has them.

    Args:
      store: where to.
      claim: of the execution.
      limit: how many records may be dead letters.
      has_manifests: whether manifests list the shards.
      source: the name of the source whose ranges come in; empty for none.
      sums_by_file: whether to find files whose records are all bad, which keeps a sum for each file until the end.
    """

    def __init__(
        self,
        store: Store,
        claim: RunClaim,
        limit: DeadLetterLimit,
        *,
        has_manifests: bool,
        source: str = "",
        sums_by_file: bool = True,
    ) -> None:
        super().__init__()
        self._source = source
        self._sums_by_file = sums_by_file
        self._limit = limit
        self._store = store
        self._claim = claim
        self._has_manifests = has_manifests

    def expand(self, result: tuple[beam.PCollection, ...]) -> beam.PCollection:
        """Return nothing."""
        shards, manifests, _, totals, *read = result
        if not self._claim.bounded and self._sums_by_file:
            totals = totals | "SumInput" >> SumInput(at_the_end())
        # one that is always there, so that a run of nothing is summed up too
        seed = shards.pipeline | "Seed" >> beam.Create([(WHOLE_RUN, Tally())]).with_output_types(_TALLIES)
        tallies = {
            "Shards": shards | "TallyShards" >> _each(_TallyShards(self._has_manifests)),
            "Manifests": manifests | "TallyManifests" >> _each(_TallyManifests()),
            "Input": totals | "TallyInput" >> _each(_TallyInput()),
            "Seed": seed,
        }
        if read:
            tallies["Read"] = read[0] | "TallyRead" >> _each(_TallyRead())
        write = _WriteObject(self._store, self._claim, self._limit, counts_read=bool(read), source=self._source)
        rows = (
            [tally | f"Whole{name}" >> at_the_end() for name, tally in tallies.items()]
            | "AllTallies" >> beam.Flatten()
            | "SumByStream" >> beam.CombinePerKey(_SumTallies())
            | "KeyAll" >> beam.ParDo(_KeyAll()).with_output_types(_ROWS)
        )
        if len(read) > 1:
            ranges = read[1] | "WholeRanges" >> at_the_end()
            keyed = ranges | "KeyRanges" >> beam.ParDo(_KeyRanges()).with_output_types(_ROWS)
            rows = (rows, keyed) | "AllRows" >> beam.Flatten()
        return rows | "Gather" >> beam.GroupByKey() | "WriteObject" >> beam.ParDo(write)


def _each(tally: beam.DoFn) -> beam.PTransform:
    return beam.ParDo(tally).with_output_types(_TALLIES)


class _TallyShards(beam.DoFn):
    def __init__(self, has_manifests: bool) -> None:
        self._has_manifests = has_manifests

    def process(self, file: ShardFile) -> Iterator[tuple[Names, Tally]]:
        yield tally_of_shard(file, has_manifests=self._has_manifests)


class _TallyManifests(beam.DoFn):
    def process(self, manifest: Manifest) -> Iterator[tuple[Names, Tally]]:
        yield tally_of_manifest(manifest)


class _TallyInput(beam.DoFn):
    def process(self, totals: tuple[str, InputTotals]) -> Iterator[tuple[Names, Tally]]:
        yield tally_of_input(totals[1])


class _SumTallies(beam.CombineFn):
    def create_accumulator(self) -> Tally:
        return Tally()

    def add_input(self, accumulator: Tally, tally: Tally) -> Tally:
        return accumulator.plus(tally)

    def merge_accumulators(self, accumulators: Iterable[Tally]) -> Tally:
        total = Tally()
        for accumulator in accumulators:
            total = total.plus(accumulator)
        return total

    def extract_output(self, accumulator: Tally) -> Tally:
        return accumulator


class _TallyRead(beam.DoFn):
    def process(self, count: ReadCount) -> Iterator[tuple[Names, Tally]]:
        name, number = count
        yield (_NO_DOMAIN, name), Tally(records=number)


class _KeyAll(beam.DoFn):
    def process(self, tally: tuple[Names, Tally]) -> Iterator[tuple[str, tuple[Names, Tally]]]:
        yield "", tally


class _KeyRanges(beam.DoFn):
    def process(self, part: PartRange) -> Iterator[tuple[str, tuple[Names, PartRange]]]:
        yield "", (_RANGE, PartRange(*part))


class _WriteObject(beam.DoFn):
    def __init__(
        self, store: Store, claim: RunClaim, limit: DeadLetterLimit, *, counts_read: bool, source: str
    ) -> None:
        self._source = source
        self._store = store
        self._limit = limit
        self._claim = claim
        self._counts_read = counts_read

    def process(self, element: tuple[str, Iterable[tuple[Names, Any]]]) -> None:
        rows = [((names[0], names[1]), row) for names, row in element[1]]
        tallies = {names: Tally(*tally) for names, tally in rows if names != _RANGE}
        ranges = [PartRange(*row) for names, row in rows if names == _RANGE]
        body = self._render(tallies)
        if not self._claim.bounded:
            # its manifests count one by one; that it has ended is known here first
            total = functools.reduce(Tally.plus, (tally for names, tally in tallies.items() if not _is_of_input(names)))
            size = Size(total.object_bytes, total.raw_bytes, total.records)
            claim_once(self._store, self._claim)
            found = RunInput(positions={self._source: noted(ranges)} if self._source else {})
            detail = detail_of(_counts_of(tallies), tallies[WHOLE_RUN].input)
            detail = detail._replace(input=joined_input(found, detail.input))
            self._claim.finish(self._store, (), size, total.shards, detail)
        write_object(self._store, summary_key(self._claim), body)

    def _render(self, tallies: Mapping[Names, Tally]) -> bytes:
        """Return the sums as JSON; those of the input, if there are any, under a name of their own."""
        counts = {names[1]: tally.records for names, tally in tallies.items() if _is_of_input(names)}
        body = render_summary(
            self._claim.layout.run_id, ((names, one) for names, one in tallies.items() if not _is_of_input(names))
        )
        more: dict[str, Any] = {_READ_COUNTS: counts} if self._counts_read else {}
        if not self._claim.bounded:
            more[_FAILURE] = self._failure(tallies[WHOLE_RUN].input)
        return orjson.dumps(orjson.loads(body) | more)

    def _failure(self, totals: InputTotals) -> str:
        """Return why a run without a commit has failed, empty if it has not."""
        try:
            self._limit.check(totals, self._store.url(self._claim.layout.dead_letter_folder))
        except DeadLettersError as exc:
            return str(exc)
        return ""


def _counts_of(tallies: Mapping[Names, Tally]) -> dict[StreamName, Counts]:
    """Return what was written of each stream."""
    return {
        names: (tally.records, tally.shards, tally.raw_bytes, tally.object_bytes, len(tally.manifests))
        for names, tally in tallies.items()
        if names != WHOLE_RUN and not _is_of_input(names) and tally.shards
    }


def _is_of_input(names: Names) -> bool:
    return names[0] == _NO_DOMAIN and names != WHOLE_RUN
