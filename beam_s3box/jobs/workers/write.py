"""PackFiles: worker processes of this machine read and pack files, and a pipeline lists the shards."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import operator
from collections.abc import Iterator
from typing import Any, Final

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, IntervalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.jobs.read.files import FileRange, Reading, ranges_of
from beam_s3box.jobs.read.find import find_input
from beam_s3box.jobs.workers.part import PartTask
from beam_s3box.jobs.workers.pool import pool_named
from beam_s3box.metrics import INPUT_BYTES, UPLOAD_ATTEMPTS, UPLOAD_MILLISECONDS, folder_to_share
from beam_s3box.records.event_times import EventTimes
from beam_s3box.shards.model import SealedShard, ShardFile
from beam_s3box.shards.window_names import bounds_of
from beam_s3box.sizes import format_size
from beam_s3box.transforms.encoded import Encoded
from beam_s3box.transforms.input_totals import BY_FILE
from beam_s3box.transforms.pack import CutShards
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, claim_at_begin
from beam_s3box.transforms.upload import UploadShards
from beam_s3box.transforms.windows import last_moment

_LOGGER = logging.getLogger(__name__)

_FILES: Final = "files"
_LETTERS: Final = "dead_letters"
_TOTALS: Final = "input_totals"
_REMAINDERS: Final = "remainders"
_REMAINDER = tuple[tuple[str, str, int], tuple[bytes, int, int, int]]
_MEASURED: Final = frozenset({UPLOAD_ATTEMPTS, UPLOAD_MILLISECONDS})
"""Distributions, of which only sums come here."""

_GLOBAL: Final = GlobalWindow()


@dataclasses.dataclass(frozen=True)
class PackFiles:
    """The first stage of a write of files that processes of this machine read and pack, in place of `encode_records`.

    Shards are in the store when they come into the pipeline; what is too little for a shard in one process is joined
    here with what the others have, a stream at a time. A process that ends before its part is packed fails the
    pipeline.

    Attributes:
      pool: the token of the processes.
      patterns: of the files.
      reading: how they are read.
      times: by which records go into windows; None for none.
    """

    pool: str
    patterns: tuple[str, ...]
    reading: Reading
    times: EventTimes | None

    def __call__(self, records: beam.PCollection, plan: WritePlan, windowing: Windowing) -> Encoded:
        """Return what becomes of the files; `records` is one element, whatever it is."""
        tagged = {_FILES: ShardFile, _LETTERS: DeadLetter, _TOTALS: BY_FILE, _REMAINDERS: _REMAINDER}
        pack = beam.ParDo(_PackFiles(plan, self)).with_output_types(SealedShard, **tagged)
        outputs = records | "PackFiles" >> pack.with_outputs(*tagged, main="joined")
        joined = outputs["joined"] | "UploadJoined" >> beam.ParDo(UploadShards(plan)).with_output_types(ShardFile)
        whole = (outputs[_FILES], joined) | "Uploaded" >> beam.Flatten()
        return Encoded(whole, outputs[_REMAINDERS], outputs[_LETTERS], outputs[_TOTALS])


class ReadByWorkers(beam.PTransform):
    """Returns one element in place of the records of files: worker processes read these."""

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Any]:
        """Return it, at a time that every window function takes."""
        return begin | "Begin" >> beam.Impulse() | "Stamp" >> beam.ParDo(_Stamp()).with_output_types(Any)


class _Stamp(beam.DoFn):
    def process(self, element: bytes) -> Iterator[TimestampedValue]:
        yield TimestampedValue(element, Timestamp(0))


class _PackFiles(beam.DoFn):
    """Runs the pool, and emits what it did."""

    def __init__(self, plan: WritePlan, files: PackFiles) -> None:
        self._plan = plan
        self._files = files

    def setup(self) -> None:
        claim_at_begin(self._plan.store, self._plan.claim)
        self._counts = BeamCounts()
        self._cut = CutShards(self._plan)

    def process(self, element: Any) -> Iterator[Any]:
        pool = pool_named(self._files.pool)
        parts = pool.pack(self._task(), self._ranges())
        read = sorted(part.counts.get(INPUT_BYTES, 0) for part in parts)
        _LOGGER.info("worker processes read %s", ", ".join(map(format_size, read)))
        for part in parts:
            for name, number in part.counts.items():
                if name not in _MEASURED:
                    self._counts.count(name, number)
            for totals in part.totals.items():
                yield beam.pvalue.TaggedOutput(_TOTALS, totals)
            for file in part.shards:
                yield beam.pvalue.TaggedOutput(_FILES, self._in_window(file))
        for key, group in itertools.groupby(pool.remainders(), operator.itemgetter(0)):
            stream, window, lane = key
            named = (*stream, lane), (tuple(segment) for _, segment in group)
            for shard in self._cut.process(named, self._window(window)):
                yield self._in_window(shard)

    def _task(self) -> PartTask:
        options = FileSystems._pipeline_options  # the only place where a worker has them
        given = {} if options is None else options.get_all_options(drop_default=True)
        plan = dataclasses.replace(self._plan, times=self._files.times)
        level = logging.getLogger().getEffectiveLevel()
        return PartTask(plan, self._files.reading, given, folder_to_share(), level)

    def _ranges(self) -> Iterator[FileRange]:
        patterns, reading = self._files.patterns, self._files.reading
        for file in find_input(patterns, reading.access):
            yield from ranges_of(file, reading)

    def _in_window(self, value: ShardFile | SealedShard) -> WindowedValue:
        window = self._window(value.window)
        return WindowedValue(value, last_moment(window), (window,))

    def _window(self, name: str) -> Any:
        if not name:
            return _GLOBAL
        bounds = bounds_of(name)
        return IntervalWindow(Timestamp(micros=bounds.start), Timestamp(micros=bounds.end))
