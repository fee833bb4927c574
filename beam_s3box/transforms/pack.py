"""PackShards: packs the remainders of all bundles into shards. The form for bounded input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from beam_s3box.formats import format_of
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import SealedShard, Segment
from beam_s3box.shards.packing import BY_INPUT_END, Capacity, OpenShard
from beam_s3box.shards.runs import new_origin
from beam_s3box.transforms.plan import WritePlan


class PackShards(beam.PTransform):
    """Groups remainder segments by stream and lane and packs them into shards. For bounded input; without timers.

    *Windows*: a shard never spans two.
    """

    def __init__(self, plan: WritePlan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, remainders: beam.PCollection) -> beam.PCollection:
        """Return the shards, which are not uploaded yet."""
        return (
            remainders
            | "GroupRemainders" >> beam.GroupByKey()
            | "CutShards" >> beam.ParDo(CutShards(self._plan)).with_output_types(SealedShard)
        )


class CutShards(beam.DoFn):
    """Packs the remainders of one stream and lane."""

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def process(
        self, element: tuple[tuple[str, str, int], Iterable[tuple[Any, ...]]], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[SealedShard]:
        """Pack the segments of one stream and lane while iterating: no more than one shard is in memory."""
        (domain, namespace, _), segments = element
        stream, name = Stream(domain, namespace), self._plan.windows.name(window)
        # new for each execution: a second one, or a second firing, writes other keys
        origin = new_origin()
        shard = OpenShard(Capacity.of(self._plan.limits_of(stream), format_of(self._plan.format, stream).overhead))
        sequence = 0
        for segment in segments:
            for sealed in shard.add(Segment(*segment)):
                yield SealedShard(stream, name, origin, sequence, sealed.reason, sealed.segments)
                sequence += 1
        if shard:
            sealed = shard.seal(BY_INPUT_END)
            yield SealedShard(stream, name, origin, sequence, sealed.reason, sealed.segments)
