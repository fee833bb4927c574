"""PackShards: packs the remainders of all bundles into shards. The form for bounded input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.formats import format_of
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import SealedShard, Segment, ShardFile
from beam_s3box.shards.packing import BY_INPUT_END, Capacity, OpenShard
from beam_s3box.shards.runs import new_origin
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.upload import UploadShards
from beam_s3box.transforms.windows import last_moment

OF_STREAM = tuple[tuple[str, str], Any]
"""Domain and namespace, and a remainder or a ShardFile."""

_WHOLE = "whole"


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


class PackAndUpload(beam.PTransform):
    """Packs the remainders of each stream and uploads the shards; shards that were uploaded before pass with them.

    For an engine that may combine outputs of several executions: the groups of each shuffle are those of a stream, and
    in each execution they have all of its records.

    *Windows*: a shard never spans two.
    """

    def __init__(self, plan: WritePlan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, of_streams: beam.PCollection) -> beam.PCollection:
        """Return all shards."""
        cut = beam.ParDo(_CutOrPass(self._plan)).with_outputs(_WHOLE, main="sealed")
        outputs = of_streams | "GroupRemainders" >> beam.GroupByKey() | "CutShards" >> cut
        upload = beam.ParDo(UploadShards(self._plan)).with_output_types(ShardFile)
        shards = (outputs[_WHOLE], outputs["sealed"] | "Upload" >> upload) | "AllShards" >> beam.Flatten()
        # so that the shards that a manifest lists are those of the result
        keyed = shards | "KeyShards" >> beam.Map(_keyed_by_stream).with_output_types(tuple[tuple[str, str], ShardFile])
        return (
            keyed
            | "ShuffleShards" >> beam.GroupByKey()
            | "ShardsOfStreams" >> beam.ParDo(_Ungroup()).with_output_types(ShardFile)
        )


def _keyed_by_stream(file: ShardFile) -> tuple[tuple[str, str], ShardFile]:
    return (file.domain, file.namespace), file


class _Ungroup(beam.DoFn):
    def process(
        self, group: tuple[tuple[str, str], Iterable[ShardFile]], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[WindowedValue]:
        for file in group[1]:
            yield WindowedValue(ShardFile._make(file), last_moment(window), (window,))


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


class _CutOrPass(beam.DoFn):
    """Packs the remainders of a stream, and emits its shards with a tag."""

    def __init__(self, plan: WritePlan) -> None:
        self._cut = CutShards(plan)

    def process(
        self, element: tuple[tuple[str, str], Iterable[Any]], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[Any]:
        (domain, namespace), values = element
        whole: list[ShardFile] = []
        yield from self._cut.process(((domain, namespace, 0), _segments(values, whole)), window)
        for file in whole:
            yield beam.pvalue.TaggedOutput(_WHOLE, file)


def _segments(values: Iterable[Any], whole: list[ShardFile]) -> Iterator[tuple[Any, ...]]:
    """Yield the segments; add the shards to the list."""
    for value in values:
        if isinstance(value, ShardFile):
            whole.append(value)
        else:
            yield value
