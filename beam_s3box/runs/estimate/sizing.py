"""How many shards a stream will have, and how large they are."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from beam_s3box.engine.plan import RunPlan
from beam_s3box.formats import format_of
from beam_s3box.records.streams import Stream
from beam_s3box.runs.estimate.arrival import Arrival
from beam_s3box.runs.estimate.compression import Compression
from beam_s3box.runs.estimate.trial import SMALL_BYTES, TrialStream, capacity_of
from beam_s3box.shards.packing import Capacity

_MIN_FILL: Final = 0.5


class StreamEstimate(NamedTuple):
    """What a run will write of one stream.

    Attributes:
      stream: its names.
      records: in shards, those of overlapping windows each time.
      raw_bytes: of these, before compression.
      object_bytes: of the shards.
      shards: number of shards.
      small: of these, those of fewer than `SMALL_BYTES`.
      manifests: number of manifests; 0 where the run lists all streams together.
      largest_bytes: of the largest shard.
    """

    stream: Stream
    records: float
    raw_bytes: float
    object_bytes: float
    shards: float
    small: float
    manifests: float
    largest_bytes: float


def exact_stream(stream: Stream, found: TrialStream, manifests: int) -> StreamEstimate:
    """Return what the trial itself packed, which had all of the input."""
    largest = found.full_bytes / found.full_shards if found.full_shards else found.object_bytes / max(found.shards, 1)
    return StreamEstimate(
        stream,
        found.records,
        found.raw_bytes,
        found.object_bytes,
        found.shards,
        found.small,
        min(manifests, found.shards),
        largest,
    )


def estimated_stream(
    stream: Stream, found: TrialStream, plan: RunPlan, compression: Compression, arrival: Arrival | None, manifests: int
) -> StreamEstimate:
    """Return what a run will write of a stream.

    Args:
      stream: its names.
      found: what the sample has of it.
      plan: of the run.
      compression: how well segments of each size compress.
      arrival: how it arrives; None for bounded input.
      manifests: at most so many for each firing.
    """
    capacity = capacity_of(plan, stream)
    copies = arrival.copies if arrival else 1.0
    records, raw_bytes = found.input_records * copies, found.input_raw_bytes * copies
    aged = arrival.aged(found.input_records) if arrival else 1.0
    filled = arrival.filled(found.input_records) if arrival else 1.0
    overhead = format_of(plan.format, stream).overhead.shard.object_bytes
    segment = min(capacity.segment_bytes, max(raw_bytes / aged, 1.0))
    own = found.object_bytes - overhead * found.shards
    # what its own records say, at the size of a segment that they will have
    factor = own / max(found.raw_bytes, 1) / compression.share(found.raw_bytes / max(found.segments, 1))
    packed = raw_bytes * compression.share(segment) * factor
    by_limit, full_bytes = _by_limits(found, capacity, records, raw_bytes, packed, aged)
    shards = aged * by_limit
    object_bytes = packed + overhead * shards
    each = object_bytes / shards
    return StreamEstimate(
        stream,
        records,
        raw_bytes,
        object_bytes,
        shards,
        _small(shards, aged, each, full_bytes, object_bytes),
        _manifests(arrival, filled, shards, manifests),
        min(full_bytes, object_bytes / aged) if by_limit > 1 else each,
    )


def _by_limits(
    found: TrialStream, capacity: Capacity, records: float, raw_bytes: float, packed: float, aged: float
) -> tuple[float, float]:
    """Return in how many shards the limits cut what windows and age leave together, and the bytes of a full one."""
    room = capacity.room
    seen = found.full_bytes / found.full_shards / max(room.object_bytes, 1) if found.full_shards > 2 else 0.0
    segment_bytes = capacity.segment_bytes * packed / max(raw_bytes, 1)
    # a shard ends when the next segment does not fit: half of one is free on average
    fill = max(seen if _MIN_FILL < seen <= 1 else 1 - segment_bytes / 2 / max(room.object_bytes, 1), _MIN_FILL)
    parts = {
        "object": packed / aged / (max(room.object_bytes, 1) * fill),
        "raw": raw_bytes / aged / max(room.raw_bytes, 1),
        "records": records / aged / max(room.records, 1),
    }
    most = max(parts.values())
    return max(1.0, math.ceil(most - 1e-9)), packed / aged / max(most, 1e-9)


def _small(shards: float, aged: float, each: float, full_bytes: float, object_bytes: float) -> float:
    """Return how many of the shards are small: all, none, or the last one of each window."""
    if each < SMALL_BYTES and (shards <= aged or full_bytes < SMALL_BYTES):
        return shards
    if shards <= aged:
        return 0.0
    last = object_bytes / aged - full_bytes * (shards / aged - 1)
    return aged if last < SMALL_BYTES else 0.0


def _manifests(arrival: Arrival | None, filled: float, shards: float, manifests: int) -> float:
    firings = arrival.firings(filled, shards) if arrival else 1.0
    return min(firings * manifests, shards)
