"""Packs a sample of the input as a run would, and keeps only the figures."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Mapping
from typing import Final

from beam_s3box.engine.input_totals import field_hint
from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.shard_builder import Flushed, ShardBuilder
from beam_s3box.formats import encoders_of, format_of
from beam_s3box.metrics import RECORDS_IN, Metrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.streams import Stream
from beam_s3box.runs.estimate.compression import Compression, SampledLines
from beam_s3box.shards.model import SealedShard
from beam_s3box.shards.packing import BY_BUNDLE_END, BY_MEMORY, Capacity
from beam_s3box.system.threads import Threads

SMALL_BYTES: Final = 1_000_000
"""Redshift's documentation recommends files of 1 MB to 1 GB after compression."""


@dataclasses.dataclass(slots=True)
class TrialStream:
    """What a sample has of one stream.

    Attributes:
      records: in the sample.
      raw_bytes: their bytes before compression, with what the format adds to each.
      object_bytes: of the shards that the sample makes.
      shards: how many these are.
      small: those of fewer than `SMALL_BYTES`.
      segments: how many they are joined from.
      full_shards, full_bytes: the shards that a limit sealed, and their bytes.
      pieces: pieces of the input that have some of the stream.
      input_records, input_raw_bytes: of the whole input, as the pieces say.
    """

    records: int = 0
    raw_bytes: int = 0
    object_bytes: int = 0
    shards: int = 0
    small: int = 0
    segments: int = 0
    full_shards: int = 0
    full_bytes: int = 0
    pieces: int = 0
    input_records: float = 0.0
    input_raw_bytes: float = 0.0


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """The figures of a sample.

    Attributes:
      streams: by stream.
      reasons: dead letters of the whole input by reason, as the pieces say.
      examples: what is wrong with the first of each reason.
      records: all records of the sample.
      pieces: pieces of the input that were read.
      compression: how well segments of each size compress.
    """

    streams: Mapping[Stream, TrialStream]
    reasons: Mapping[str, float]
    examples: Mapping[str, str]
    records: int
    pieces: int
    compression: Compression


class Trial:
    """Packs records as `pack` does, with the same rules, segments and limits, and uploads nothing. For one thread.

    The input comes in pieces, each of which stands for a part of the whole.

    Args:
      plan: of the run.
      counts: takes the figures while it works.
    """

    def __init__(self, plan: RunPlan, counts: Metrics) -> None:
        self._plan = plan
        self._counts = counts
        self._router = Router(plan.selector, plan.rules, encoders_of(plan.format))
        codec = Threads(max(2, os.cpu_count() or 2), "beam_s3box-codec")
        self._builder = ShardBuilder(plan.format, plan.limits_of, codec, "", plan.budget, min_fill_to_seal=0.0)
        self._lines = SampledLines()
        self._streams: dict[Stream, TrialStream] = {}
        self._reasons: dict[str, float] = {}
        self._examples: dict[str, str] = {}
        self._piece: dict[Stream, tuple[int, int]] = {}
        self._piece_reasons: collections.Counter[str] = collections.Counter()
        self._pieces = 0
        self.records = 0
        self.raw_bytes = 0

    def add(self, batch: LineBatch | RejectedRow) -> None:
        """Take records of the current piece."""
        lines = batch.lines if isinstance(batch, LineBatch) else []
        groups, rejected = self._router.route_lines(lines)
        bad = rejected if isinstance(batch, LineBatch) else [batch]
        for record in bad:
            self._piece_reasons[record.reason] += 1
            if record.reason not in self._examples:
                hint = field_hint(record.reason, record.detail, record.raw)
                self._examples[record.reason] = f"{record.detail}; {hint}" if hint else record.detail
        records = len(lines) if isinstance(batch, LineBatch) else 1
        raw_bytes = sum(map(len, lines))
        self.records += records
        self.raw_bytes += raw_bytes
        self._counts.count(RECORDS_IN, records)
        for stream, group in groups.items():
            self._add(stream, group)
        self._drop(self._builder.poll())

    def end_piece(self, factor: float) -> None:
        """End a piece of the input, each of whose records stands for so many."""
        self._pieces += 1
        for stream, (records, raw_bytes) in self._piece.items():
            found = self._streams[stream]
            found.pieces += 1
            found.input_records += records * factor
            found.input_raw_bytes += raw_bytes * factor
        for reason, records in self._piece_reasons.items():
            self._reasons[reason] = self._reasons.get(reason, 0.0) + records * factor
        self._piece.clear()
        self._piece_reasons.clear()

    def finish(self, share: float = 1.0) -> TrialResult:
        """Return the figures.

        Args:
          share: what the sums of all pieces are multiplied with.
        """
        self._drop(self._builder.finish())
        for found in self._streams.values():
            found.input_records *= share
            found.input_raw_bytes *= share
        reasons = {reason: records * share for reason, records in self._reasons.items()}
        compression = self._lines.measure(self._plan.format)
        return TrialResult(self._streams, reasons, self._examples, self.records, self._pieces, compression)

    def _add(self, stream: Stream, lines: list[bytes]) -> None:
        found = self._streams.get(stream)
        if found is None:
            found = self._streams[stream] = TrialStream()
        raw_bytes = sum(map(len, lines)) + format_of(self._plan.format, stream).record_overhead * len(lines)
        found.records += len(lines)
        found.raw_bytes += raw_bytes
        records_before, raw_before = self._piece.get(stream, (0, 0))
        self._piece[stream] = records_before + len(lines), raw_before + raw_bytes
        self._lines.add(stream, lines)
        self._builder.add((stream, "", 0), lines)

    def _drop(self, flushed: Flushed) -> None:
        for shard in flushed.shards:
            self._count(shard)

    def _count(self, shard: SealedShard) -> None:
        found = self._streams[shard.stream]
        object_bytes = len(format_of(self._plan.format, shard.stream).join(shard.segments))
        found.shards += 1
        found.small += object_bytes < SMALL_BYTES
        found.segments += len(shard.segments)
        found.object_bytes += object_bytes
        if shard.reason not in (BY_BUNDLE_END, BY_MEMORY):
            found.full_shards += 1
            found.full_bytes += object_bytes


def capacity_of(plan: RunPlan, stream: Stream) -> Capacity:
    """Return how many records of a stream fit in a shard."""
    return Capacity.of(plan.limits_of(stream), format_of(plan.format, stream).overhead)
