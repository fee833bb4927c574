"""A step that only takes batches, as WriteToJson's do, and a write with such steps behind all of its outputs.

`python -m tests.transforms.batch_steps FOLDER DESTINATION --runner=…` runs it; a process of its own, because Flink
disconnects workers that live in the submitting one.
"""

from __future__ import annotations

import pathlib
import sys
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows
from apache_beam.typehints import List as BeamList
from apache_beam.utils.timestamp import Timestamp

from beam_s3box import StreamLimits, WriteToS3Box
from tests.runners.engines import run_to_end

RECORDS = 100
BAD = 7
STREAMS = 4
INTERVAL = 0.04
OUTPUTS = ("shards", "manifests", "dead_letters", "input_totals")


class TakeBatches(beam.DoFn):
    """Writes a line for each element of the batches that come; it has no `process`.

    Args:
      folder: for a file of each bundle.
      name: of the output that comes in.
    """

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        self._folder = folder
        self._name = name

    @beam.DoFn.yields_batches
    def process_batch(self, batch: Sequence[Any]) -> Iterator[list[int]]:
        """Note the elements."""
        path = self._folder / f"{self._name}-{uuid.uuid4()}"
        path.write_text("".join(f"{type(element).__name__}\n" for element in batch))
        yield [len(batch)]

    def get_input_batch_type(self, input_element_type: Any) -> Any:
        """Return the type of batches: a list of the input type."""
        return BeamList[input_element_type]

    def get_output_batch_type(self, input_element_type: Any) -> Any:
        """Return the type of batches; Beam can't read it off an annotation that is text."""
        return BeamList[int]

    def infer_output_type(self, input_type: Any) -> Any:
        """Return the type of elements, for the same reason."""
        return int


class TakeElements(TakeBatches):
    """The same with a `process`, without which BundleBasedDirectRunner runs no step."""

    def process(self, element: Any) -> Iterator[int]:
        """Note the element."""
        for (count,) in self.process_batch([element]):
            yield count


def noted(folder: pathlib.Path, what: str = "") -> dict[str, int]:
    """Return how many elements of each output were noted; of `what="every_"` by a step that takes them one by one."""
    return {
        name: sum(len(path.read_text().splitlines()) for path in folder.glob(f"{what}{name}-*")) for name in OUTPUTS
    }


def build(
    folder: pathlib.Path, destination: Any, arguments: list[str], take: type[TakeBatches] = TakeBatches
) -> beam.Pipeline:
    """Return a pipeline that writes records, some of them bad, to four streams; with `--streaming` they take seconds."""
    pipeline = beam.Pipeline(argv=arguments)
    if "--streaming" in arguments:
        begin = Timestamp.now() + 1
        moments = pipeline | PeriodicImpulse(begin, begin + (RECORDS + BAD - 0.5) * INTERVAL, INTERVAL)
        records = moments | beam.ParDo(_Record(begin))
        windowing = FixedWindows(2)
    else:
        records, windowing = pipeline | beam.Create(range(RECORDS + BAD)) | beam.Map(record), None
    write = WriteToS3Box(
        destination,
        domain_field="d",
        namespace_field="n",
        limits=StreamLimits(max_records=5),
        windowing=windowing,
    )
    result = records | "Write" >> write
    for name in OUTPUTS:
        output = getattr(result, name)
        _ = output | f"Take_{name}" >> beam.ParDo(take(folder, name))
        _ = output | f"Count_{name}" >> beam.ParDo(TakeElements(folder, f"every_{name}"))
    return pipeline


def record(number: int) -> Any:
    return {"d": "d", "n": f"n{number % STREAMS}", "i": number} if number < RECORDS else "no record"


class _Record(beam.DoFn):
    def __init__(self, begin: Timestamp) -> None:
        self._begin = begin

    def process(self, moment: Any) -> Iterator[Any]:
        yield record(round((float(moment) - float(self._begin)) / INTERVAL))


if __name__ == "__main__":
    run_to_end(build(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
