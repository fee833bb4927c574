"""Reads a sample of the input: pieces from all over it, or all of it where that is little."""

from __future__ import annotations

import bisect
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from beam_s3box.jobs.read.files import FileRange, Reading, ranges_of, read_opened, read_part
from beam_s3box.jobs.read.find import FoundInput
from beam_s3box.jobs.read.input_files import InputFile, opened
from beam_s3box.metrics import INPUT_BYTES, Metrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.path_columns import columns_of, with_columns
from beam_s3box.runs.estimate.trial import Trial, TrialResult
from beam_s3box.sizes import KiB, MiB

_PIECE_BYTES: Final = MiB
"""Of a large file that are read together."""

_WHOLE_BYTES: Final = 8 * MiB
"""A file of not more is read whole."""

_READ_BYTES: Final = 64 * KiB
"""Read at a time of a file that is read from its beginning, so that it is known how far a piece goes."""

_GOLDEN: Final = 0.6180339887498949
"""Multiples of it, without their whole parts, are spread evenly, however many are taken."""

_MOST_REPEATS: Final = 100
"""Pieces that were read before, one after another, after which there are no others."""


class InputSample(NamedTuple):
    """What was read.

    Attributes:
      files, input_bytes: of the input.
      pieces, sampled_bytes: of these, what was read.
      exact: whether that is all.
      trial: the figures of its records.
    """

    files: int
    input_bytes: int
    pieces: int
    sampled_bytes: int
    exact: bool
    trial: TrialResult


def sample_input(
    files: Sequence[FoundInput], reading: Reading, trial: Trial, sample_bytes: int, counts: Metrics
) -> InputSample:
    """Read files, all of them or pieces from all over them, and try to pack them.

    The pieces are the same each time. Large files of plain lines and of Parquet are read anywhere, other large ones
    from their beginning.

    Args:
      files: of the input.
      reading: how they are read.
      trial: packs what is read.
      sample_bytes: where the files have more, at least so many bytes of records are read.
      counts: takes the bytes that are read.

    Raises:
      ConfigurationError: a file can't be read.
    """
    total = sum(file.size for file in files)
    if total <= sample_bytes:
        for file in files:
            for part in ranges_of(file, reading):
                for batch in read_part(part, reading):
                    trial.add(batch)
            trial.end_piece(1.0)
            counts.count(INPUT_BYTES, file.size)
        return InputSample(len(files), total, len(files), total, True, trial.finish())
    pieces, sampled_bytes = 0, 0
    for piece in _pieces(files, reading, total):
        read = _take(piece, reading, trial)
        # each piece stands for as many bytes of the input: what it has to a byte counts
        trial.end_piece(1 / read)
        pieces += 1
        sampled_bytes += read
        counts.count(INPUT_BYTES, read)
        if trial.raw_bytes >= sample_bytes:
            break
    share = total / max(pieces, 1)
    return InputSample(len(files), total, pieces, sampled_bytes, False, trial.finish(share))


class _Piece(NamedTuple):
    """A part of a file, and its bytes; 0 for one that begins with the file and ends after `_PIECE_BYTES`."""

    part: FileRange
    size: int


def _pieces(files: Sequence[FoundInput], reading: Reading, total: int) -> Iterator[_Piece]:
    """Yield pieces at places that are spread evenly over the bytes of all files, each once."""
    ends = list(itertools.accumulate(file.size for file in files))
    parts_of: dict[int, list[FileRange]] = {}
    seen: set[tuple[int, int]] = set()
    repeats = 0
    for number in itertools.count(1):
        place = int(number * _GOLDEN % 1 * total)
        at = bisect.bisect_right(ends, place)
        offset = place - (ends[at] - files[at].size)
        if at not in parts_of:
            parts_of[at] = list(ranges_of(files[at], reading))
        piece = _piece_at(parts_of[at], offset / files[at].size)
        if (at, piece.part.start) not in seen:
            seen.add((at, piece.part.start))
            repeats = 0
            yield piece
        elif (repeats := repeats + 1) > _MOST_REPEATS:
            return


def _piece_at(parts: Sequence[FileRange], place: float) -> _Piece:
    """Return the piece of a file at a place from 0 to 1."""
    part = parts[min(int(place * len(parts)), len(parts) - 1)]
    if part.kind == "jsonl":
        start = int(place * part.size) // _PIECE_BYTES * _PIECE_BYTES
        stop = min(start + _PIECE_BYTES, part.size)
        return _Piece(part._replace(start=start, stop=stop), stop - start)
    if part.kind or part.size <= _WHOLE_BYTES:
        return _Piece(part, max(part.size // len(parts), 1))
    return _Piece(part, 0)


def _take(piece: _Piece, reading: Reading, trial: Trial) -> int:
    """Try to pack a piece, and return how many bytes of the file that was."""
    part = piece.part
    if piece.size:
        for batch in read_part(part, reading):
            trial.add(batch)
        return piece.size
    columns = columns_of(part.path) if reading.path_columns else {}
    with opened(part.path, reading.access, part.version) as file:
        counted = _FromTheBeginning(file)
        with contextlib.closing(read_opened(counted, part, reading)) as batches:
            for batch in batches:
                trial.add(with_columns(batch, columns) if isinstance(batch, LineBatch) else batch)
                if counted.read_bytes >= _PIECE_BYTES:
                    break
        return max(counted.read_bytes, 1)


class _FromTheBeginning:
    """Reads little at a time, and knows how far it is."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self.read_bytes = 0

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""
        data = self._file.read(min(size, _READ_BYTES))
        self.read_bytes += len(data)
        return data

    def seek(self, position: int, /) -> Any:
        """Read on from there."""
        return self._file.seek(position)
