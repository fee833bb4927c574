"""What a write returns: its outputs, and the id of its run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import Manifest
from beam_s3box.shards.model import ShardFile


class _Outputs(NamedTuple):
    shards: PCollection[ShardFile]
    manifests: PCollection[Manifest]
    dead_letters: PCollection[DeadLetter]
    input_totals: PCollection[tuple[str, InputTotals]]


class WriteToS3BoxResult(_Outputs):
    """The outputs of a write, a NamedTuple of PCollections, and the id of its run.

    Beam's `|` returns Any. Type checkers know the types below when the variable is annotated:
    `result: WriteToS3BoxResult = records | WriteToS3Box(...)`.

    Attributes:
      shards: one ShardFile for each object, in its window.
      manifests: one Manifest for each manifest; empty without manifests.
      dead_letters: one DeadLetter for each record that could not be packed.
      input_totals: `("", InputTotals)`, how many records came in, and why how many are dead letters: one for the run;
        with unbounded input `(file, InputTotals)`, one for each bundle and file.
      run_id: the id in the keys of this run; no field of the tuple, all of which Beam takes for outputs.
    """

    run_id: str = ""

    if not TYPE_CHECKING:  # type checkers know which attributes there are

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError: Beam looks in vain for those of a PCollection where a step is applied to all."""
            outputs = ", ".join(f"result.{field}" for field in self._fields)
            raise AttributeError(
                f"the result of WriteToS3Box has no {name!r}: it has several outputs, apply the next step to one of "
                f"them, {outputs}",
                name=name,
                obj=self,
            )


class OneByOne(beam.DoFn):
    """Emits each element as it comes.

    Beam flushes batches before `finish_bundle`: what that emits never reaches a step that only takes batches, such as
    WriteToJson. What this step emits does.
    """

    def process(self, element: Any) -> Iterator[Any]:
        """Yield the element."""
        yield element
