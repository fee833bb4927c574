"""The outputs of a write's first stage: records encoded, whole shards uploaded, dead letters written to files."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.shards.model import ShardFile
from beam_s3box.transforms.dead_letters import WriteDeadLetters
from beam_s3box.transforms.encode import DEAD_LETTERS, INPUT_TOTALS, SHARDS, encoder_of
from beam_s3box.transforms.input_totals import BY_FILE
from beam_s3box.transforms.pack import OF_STREAM
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import FireOnce
from beam_s3box.transforms.upload import UploadShards
from beam_s3box.transforms.windows import last_moment

_KEYED = tuple[tuple[str, str, str], tuple[str, Any, int]]
_WHOLE, _REMAINDERS, _LETTERS, _TOTALS = "whole", "remainders", "dead_letters", "totals"
_GROUPS_OF_LETTERS = 1_000


class Encoded(NamedTuple):
    """What a bundle of records becomes.

    Attributes:
      whole: one ShardFile for each shard that was uploaded; None if they are among the remainders.
      remainders: what is too little for a shard, keyed by stream and lane; with shards that were uploaded, keyed by
        stream, as PackAndUpload takes them.
      dead_letters: records that could not be packed, after they were written to files.
      totals: how many records came in, by file.
    """

    whole: beam.PCollection | None
    remainders: beam.PCollection
    dead_letters: beam.PCollection
    totals: beam.PCollection


def encode_records(records: beam.PCollection, plan: WritePlan, windowing: Windowing) -> Encoded:
    """Add the steps that encode records, upload whole shards and write dead letters to files."""
    step = encoder_of(plan, windowing.windowfn).with_outputs(SHARDS, DEAD_LETTERS, INPUT_TOTALS, main="remainders")
    outputs = records | "EncodeSegments" >> step
    whole = outputs[SHARDS] | "UploadWhole" >> beam.ParDo(UploadShards(plan)).with_output_types(ShardFile)
    letters = outputs[DEAD_LETTERS] | "WriteDeadLetters" >> WriteDeadLetters(plan)
    encoded = Encoded(whole, outputs["remainders"], letters, outputs[INPUT_TOTALS])
    return _shuffled_together(encoded, plan, windowing) if plan.repeats_bundles else encoded


def _shuffled_together(encoded: Encoded, plan: WritePlan, windowing: Windowing) -> Encoded:
    """Pass all outputs through one shuffle, in groups that have the same records whoever executes the bundles.

    Spark executes a bundle once for each output that is shuffled, and again where a machine was lost, and may take one
    part of the next stage's input from one execution and another part from another: from what it or Beam's runner has
    cached, and from stages that were complete. Each execution draws the line between shards and remainders elsewhere,
    and so do stages behind it. But all that becomes of the records of a stream is complete in each of them, so groups
    by stream may be combined.
    """

    def keyed(output: beam.PCollection, name: str, key_of: Callable[[Any], tuple[str, str, str]]) -> beam.PCollection:
        return output | f"Key_{name}" >> beam.ParDo(_Key(name, key_of)).with_output_types(_KEYED)

    outputs = (
        keyed(encoded.whole, _WHOLE, _stream_of_shard),
        keyed(encoded.remainders, _REMAINDERS, _stream_of_remainder),
        keyed(encoded.dead_letters, _LETTERS, _group_of_letter),
        keyed(encoded.totals, _TOTALS, _file_of_totals),
    ) | "AllOutputs" >> beam.Flatten()
    if outputs.windowing.triggerfn != windowing.triggerfn:
        outputs = outputs | "FireOutputsOnce" >> FireOnce(plan.windows, windowing)
    grouped = outputs | "ShuffleTogether" >> beam.GroupByKey()
    return Encoded(
        None,
        grouped | "Only_of_streams" >> beam.ParDo(_OnlyOfStreams()).with_output_types(OF_STREAM),
        grouped | "Only_dead_letters" >> beam.ParDo(_Only(_LETTERS)).with_output_types(DeadLetter),
        grouped | "Only_totals" >> beam.ParDo(_Only(_TOTALS)).with_output_types(BY_FILE),
    )


def _stream_of_shard(file: ShardFile) -> tuple[str, str, str]:
    return file.domain, file.namespace, ""


def _stream_of_remainder(remainder: tuple[tuple[str, str, int], Any]) -> tuple[str, str, str]:
    return (*remainder[0][:2], "")


def _group_of_letter(letter: DeadLetter) -> tuple[str, str, str]:
    return "", str(zlib.crc32(letter.raw) % _GROUPS_OF_LETTERS), _LETTERS


def _file_of_totals(totals: tuple[str, Any]) -> tuple[str, str, str]:
    return "", totals[0], _TOTALS


class _Key(beam.DoFn):
    """Keys an output by what it is of; a shuffle changes timestamps, so these become a part of the value."""

    def __init__(self, name: str, key_of: Callable[[Any], tuple[str, str, str]]) -> None:
        self._name = name
        self._key_of = key_of

    def process(
        self, element: Any, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[WindowedValue]:
        value = self._key_of(element), (self._name, element, timestamp.micros)
        yield WindowedValue(value, last_moment(window), (window,))


class _Only(beam.DoFn):
    def __init__(self, name: str) -> None:
        self._name = name

    def process(
        self,
        group: tuple[tuple[str, str, str], Iterable[tuple[str, Any, int]]],
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[WindowedValue]:
        for name, element, micros in group[1]:
            if name == self._name:
                yield WindowedValue(element, Timestamp(micros=micros), (window,))


class _OnlyOfStreams(beam.DoFn):
    """Emits what PackAndUpload takes."""

    def process(
        self, group: tuple[tuple[str, str, str], Iterable[tuple[str, Any, int]]]
    ) -> Iterator[tuple[tuple[str, str], Any]]:
        (domain, namespace, kind), values = group
        if not kind:
            for name, element, _ in values:
                yield (domain, namespace), (element if name == _WHOLE else element[1])
