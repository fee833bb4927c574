"""Reads a sealed buffer file: its header, its records, and bytes that a crash left and that are neither."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import orjson

from beam_s3box.records.encoding import RecordRules
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.packing import MAX_SEGMENT_BYTES
from beam_s3box.streamer.files import open_to_read
from beam_s3box.streamer.output import Output

_VERSION = 1
_BEGINNING = b'{"beam_s3box_buffer":'
_LONGEST_HEADER = 1 << 20


def header_of(stream: Stream, output: Output) -> bytes:
    """Return the first line of a buffer file."""
    return orjson.dumps({"beam_s3box_buffer": _VERSION, **stream._asdict(), **output._asdict()})


def read_header(path: pathlib.Path) -> tuple[Stream, Output] | None:
    """Return the stream and the output of a buffer file; None if its first line is not a header."""
    with open_to_read(path) as file:
        line = file.readline(_LONGEST_HEADER)
    try:
        header = orjson.loads(line)
        if header.pop("beam_s3box_buffer") != _VERSION or not line.endswith(b"\n"):
            return None
        output = Output(header.pop("format"), header.pop("compression"), header.pop("listed", False))
        output.make()
        return Stream(**header), output
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def is_torn_at_first_record(path: pathlib.Path) -> bool:
    """Return whether a file is empty or an incomplete first write: then nothing in it was acknowledged.

    The header and the first record are written together. A machine that loses power may leave zeros instead.
    """
    with open_to_read(path) as file:
        beginning = file.read(len(_BEGINNING))
        if not _BEGINNING.startswith(beginning[: len(_BEGINNING)]):
            return False
        file.seek(0)
        lines = (file.readline(), file.readline())
    return not (lines[0].endswith(b"\n") and lines[1].endswith(b"\n")) and b"\0" not in b"".join(lines)


def read_lines(path: pathlib.Path) -> Iterator[list[bytes]]:
    """Yield the records in batches of about a segment; a last line without a line break was never acknowledged."""
    with open_to_read(path) as file:
        file.readline()
        while lines := file.readlines(MAX_SEGMENT_BYTES):
            yield [line[:-1] for line in lines if line.endswith(b"\n")]


def read_whole_records(path: pathlib.Path, stream: Stream, damaged: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the records of a file that may be damaged, as `read_lines` does; add other bytes to `damaged`.

    A process that is killed leaves no such bytes; a machine that loses power may, and a program that truncates the
    file. Then its first line may be a record, or the beginning of a header and other bytes, which must not be skipped.
    """
    router = Router(StreamSelector(*stream), RecordRules(None, forbid_nul=False))
    with open_to_read(path) as file:
        if not _is_header(file.readline(_LONGEST_HEADER)):
            file.seek(0)
        while lines := file.readlines(MAX_SEGMENT_BYTES):
            if not lines[-1].endswith(b"\n"):
                # never acknowledged, except where zeros replace what was
                damaged += [line for line in [lines.pop()] if b"\0" in line]
            groups, rejected = router.route_lines([line[:-1] for line in lines])
            damaged += (line.raw + b"\n" for line in rejected)
            yield groups.get(stream, [])


def _is_header(line: bytes) -> bool:
    """Return whether a line is a whole header, of whatever output."""
    try:
        return line.startswith(_BEGINNING) and isinstance(orjson.loads(line), dict)
    except ValueError:
        return False
