"""Lines of a file as a stream: blocks of so many lines come one behind the other, and are read where they are written.

Where the input is unbounded, the engine sees a source that could go on, and never more than the place of a block:
reading is a step of its own, as it is for files that land in a folder.
"""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.typehints import List as BeamList

from tools.bench_stream.tally import TALLY

WINDOW_SECONDS = 60
"""Event time of all records lies in one window of this size: what is open is one buffer a stream."""

Block = tuple[int, int]
"""Offset and bytes in the file."""


class ReadStream(beam.PTransform):
    """Reads the lines of a file, without line breaks.

    Args:
      path: of the file.
      lines: of a block, which is one element until it is read.
      unbounded: whether engines shall take the input for unbounded; it is in windows then.
    """

    def __init__(self, path: pathlib.Path, lines: int, *, unbounded: bool) -> None:
        super().__init__()
        self._path = path
        self._lines = lines
        self._unbounded = unbounded

    def expand(self, begin: Any) -> beam.PCollection[bytes]:
        """Return the lines."""
        find = _PushBlocks(self._path, self._lines) if self._unbounded else _FindBlocks(self._path, self._lines)
        blocks = begin | "Impulse" >> beam.Impulse() | "FindBlocks" >> beam.ParDo(find).with_output_types(Block)
        if self._unbounded:
            blocks = blocks | "Window" >> beam.WindowInto(FixedWindows(WINDOW_SECONDS))
        read = beam.ParDo(_ReadBlock(self._path)).with_output_types(bytes)
        return blocks | "Spread" >> beam.Reshuffle() | "ReadBlock" >> read


def blocks_of(path: pathlib.Path, lines: int) -> Iterator[Block]:
    """Yield the blocks of a file; the last may be shorter."""
    offset = 0
    with path.open("rb") as file:
        while size := sum(map(len, itertools.islice(file, lines))):
            yield offset, size
            offset += size


class _FindBlocks(beam.DoFn):
    def __init__(self, path: pathlib.Path, lines: int) -> None:
        self._path = path
        self._lines = lines

    def process(self, element: bytes) -> Iterator[Block]:
        TALLY.begin()
        yield from blocks_of(self._path, self._lines)


class _AllBlocks(beam.RestrictionProvider):
    def initial_restriction(self, element: bytes) -> OffsetRange:
        return OffsetRange(0, 1 << 40)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: bytes, restriction: OffsetRange) -> int:
        return 1


_TRACKER = beam.DoFn.RestrictionParam(_AllBlocks())


class _PushBlocks(beam.DoFn):
    def __init__(self, path: pathlib.Path, lines: int) -> None:
        self._path = path
        self._lines = lines

    @beam.DoFn.unbounded_per_element()
    def process(self, element: bytes, tracker: Any = _TRACKER) -> Iterator[TimestampedValue]:
        TALLY.begin()
        start = tracker.current_restriction().start
        numbered = enumerate(itertools.islice(blocks_of(self._path, self._lines), start, None), start)
        for number, block in numbered:
            if not tracker.try_claim(number):
                return
            yield TimestampedValue(block, 0)
        # that there is no more: claimed beyond the end
        tracker.try_claim(1 << 40)


class _ReadBlock(beam.DoFn):
    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def setup(self) -> None:
        self._file = os.open(self._path, os.O_RDONLY)

    @beam.DoFn.yields_batches
    def process(self, block: Block) -> Iterator[list[bytes]]:
        offset, size = block
        yield os.pread(self._file, size, offset).splitlines()

    def teardown(self) -> None:
        os.close(self._file)

    def get_output_batch_type(self, input_element_type: Any) -> Any:
        """Return the type of batches; Beam can't read it off an annotation that is text."""
        return BeamList[bytes]

    def infer_output_type(self, input_type: Any) -> Any:
        """Return the type of elements, for the same reason."""
        return bytes
