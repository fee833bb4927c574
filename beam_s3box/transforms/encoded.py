"""The outputs of a write's first stage: records encoded, whole shards uploaded, dead letters written to files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.transforms.core import Windowing

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.shards.model import ShardFile
from beam_s3box.transforms.dead_letters import WriteDeadLetters
from beam_s3box.transforms.encode import DEAD_LETTERS, INPUT_TOTALS, SHARDS, encoder_of
from beam_s3box.transforms.engines import runs_bundles_again
from beam_s3box.transforms.input_totals import BY_FILE
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.upload import UploadShards

_REMAINDER = tuple[tuple[str, str, int], tuple[bytes, int, int, int]]
_TAGGED = tuple[str, Any]


class Encoded(NamedTuple):
    """What a bundle of records becomes.

    Attributes:
      whole: one ShardFile for each shard that was uploaded.
      remainders: what is too little for a shard, keyed by stream and lane.
      dead_letters: records that could not be packed, after they were written to files.
      totals: how many records came in, by file.
    """

    whole: beam.PCollection
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
    return _shuffled_together(encoded) if runs_bundles_again(records) else encoded


def _shuffled_together(encoded: Encoded) -> Encoded:
    """Pass all outputs through one shuffle.

    Else Spark executes a bundle once for each output that is shuffled, and again where a machine was lost. Each
    execution draws the line between shards and remainders elsewhere: the shards of one and the remainders of another
    would lack records and have others twice.
    """
    types = dict(zip(Encoded._fields, (ShardFile, _REMAINDER, DeadLetter, BY_FILE), strict=True))
    tagged = [
        output | f"Tag_{name}" >> beam.ParDo(_Tag(name)).with_output_types(_TAGGED)
        for name, output in encoded._asdict().items()
    ]
    shuffled = tagged | "AllOutputs" >> beam.Flatten() | "ShuffleTogether" >> beam.Reshuffle()
    outputs = {
        name: shuffled | f"Only_{name}" >> beam.ParDo(_Only(name)).with_output_types(kind)
        for name, kind in types.items()
    }
    return Encoded(**outputs)


class _Tag(beam.DoFn):
    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, element: Any) -> Iterator[tuple[str, Any]]:
        yield self._name, element


class _Only(beam.DoFn):
    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, element: tuple[str, Any]) -> Iterator[Any]:
        name, output = element
        if name == self._name:
            yield output
