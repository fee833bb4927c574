"""Lines of a file as a stream, pushed as fast as the engine takes them.

Where the input is unbounded, the engine sees a source that could go on. Lines travel one by one, as from a queue, or in
blocks: then a block's place is what travels, and reading is a step of its own, as for files that land in a folder.
"""

from __future__ import annotations

import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator
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

_NEVER = 1 << 40
"""Beyond the last element of any source here."""


class ReadStream(beam.PTransform):
    """Reads the lines of a file, without line breaks.

    Args:
      path: of the file.
      block_lines: lines of a block, which is one element until it is read; None: each line is an element.
      unbounded: whether engines shall take the input for unbounded; it is in windows then.
    """

    def __init__(self, path: pathlib.Path, block_lines: int | None, *, unbounded: bool) -> None:
        super().__init__()
        self._path = path
        self._block_lines = block_lines
        self._unbounded = unbounded

    def expand(self, begin: Any) -> beam.PCollection[bytes]:
        """Return the lines."""
        source, kind = self._source()
        push = _PushForEver(source) if self._unbounded else _Push(source)
        pushed = begin | "Impulse" >> beam.Impulse() | "Push" >> beam.ParDo(push).with_output_types(kind)
        if self._unbounded:
            pushed = pushed | "Window" >> beam.WindowInto(FixedWindows(WINDOW_SECONDS))
        spread = pushed | "Spread" >> beam.Reshuffle()
        if self._block_lines is None:
            return spread
        return spread | "ReadBlock" >> beam.ParDo(_ReadBlock(self._path)).with_output_types(bytes)

    def _source(self) -> tuple[Callable[[], Iterator[Any]], Any]:
        if self._block_lines is None:
            return functools.partial(lines_of, self._path), bytes
        return functools.partial(blocks_of, self._path, self._block_lines), Block


def lines_of(path: pathlib.Path) -> Iterator[bytes]:
    """Yield the lines of a file, without line breaks."""
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


def blocks_of(path: pathlib.Path, lines: int) -> Iterator[Block]:
    """Yield the blocks of a file; the last may be shorter."""
    offset = 0
    with path.open("rb") as file:
        while size := sum(map(len, itertools.islice(file, lines))):
            yield offset, size
            offset += size


class _Push(beam.DoFn):
    def __init__(self, source: Callable[[], Iterator[Any]]) -> None:
        self._source = source

    def process(self, element: bytes) -> Iterator[Any]:
        TALLY.begin()
        yield from self._source()


class _FromStart(beam.RestrictionProvider):
    def initial_restriction(self, element: bytes) -> OffsetRange:
        return OffsetRange(0, _NEVER)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: bytes, restriction: OffsetRange) -> int:
        return 1


_TRACKER = beam.DoFn.RestrictionParam(_FromStart())


class _PushForEver(beam.DoFn):
    """The same as an engine sees a source that never ends; but it does, and then all windows do."""

    def __init__(self, source: Callable[[], Iterator[Any]]) -> None:
        self._source = source

    @beam.DoFn.unbounded_per_element()
    def process(self, element: bytes, tracker: Any = _TRACKER) -> Iterator[TimestampedValue]:
        TALLY.begin()
        start = tracker.current_restriction().start
        for number, value in enumerate(itertools.islice(self._source(), start, None), start):
            if not tracker.try_claim(number):
                return
            yield TimestampedValue(value, 0)
        tracker.try_claim(_NEVER)


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
