"""WriteDeadLetters: what could not be packed is kept next to the data, and passed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner, SwitchingDirectRunner
from apache_beam.typehints import List as BeamList

from beam_s3box.engine.dead_letters import DeadLetter, DeadLetterBatch, DeadLetterFiles
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import codec_threads, upload_threads


class WriteDeadLetters(beam.PTransform):
    """Writes dead letters to files of their own and emits them unchanged, in their windows.

    Takes batches, and emits them as such: only a step that takes the dead letters makes a row of each. One by one,
    those of an input that is bad altogether would take a hundred times as long as to pack good records.

    *Guarantees*: a bundle ends when its dead letters are in the store. A bundle that is retried writes its files again
    under other names, so the files may hold a dead letter twice; the PCollection does not.
    """

    def __init__(self, plan: WritePlan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, letters: beam.PCollection[DeadLetterBatch]) -> beam.PCollection[DeadLetter]:
        """Return the dead letters."""
        # the first of these knows no batches, and the second one may hand the pipeline over to it
        one_by_one = isinstance(letters.pipeline.runner, (BundleBasedDirectRunner, SwitchingDirectRunner))
        write = (_WriteOneByOne if one_by_one else _WriteBatches)(self._plan)
        return letters | "WriteFiles" >> beam.ParDo(write).with_output_types(DeadLetter)


class _Write(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan
        self._files: DeadLetterFiles | None = None

    def start_bundle(self) -> None:
        """Begin with none, under a new origin; most bundles have none."""
        self._abandon()

    def finish_bundle(self) -> None:
        """Write what is left."""
        if self._files is not None:
            self._files.finish()
            self._files = None

    def teardown(self) -> None:
        """Forget what a failed bundle left."""
        self._abandon()

    def _add(self, letters: DeadLetterBatch) -> None:
        if self._files is None:
            plan = self._plan
            threads = upload_threads(plan.upload_concurrency)
            self._files = DeadLetterFiles(plan.store, plan.layout, codec_threads(), threads)
        self._files.add(letters)

    def _abandon(self) -> None:
        if self._files is not None:
            self._files.abandon()
            self._files = None


class _WriteBatches(_Write):
    @beam.DoFn.yields_batches
    def process(self, letters: DeadLetterBatch) -> Iterator[Sequence[DeadLetter]]:
        """Keep the dead letters for a file and pass them on."""
        self._add(letters)
        yield letters

    def get_output_batch_type(self, input_element_type: Any) -> Any:
        """Return the type of batches; Beam can't read it off an annotation that is text."""
        return BeamList[DeadLetter]

    def infer_output_type(self, input_type: Any) -> Any:
        """Return the type of elements, for the same reason."""
        return DeadLetter


class _WriteOneByOne(_Write):
    def process(self, letters: DeadLetterBatch) -> Iterator[DeadLetter]:
        """Keep the dead letters for a file and pass them on."""
        self._add(letters)
        yield from letters
