"""Reads a sealed buffer file back: its header, its records, and what a crash left that is neither."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import orjson

from beam_s3box.packing import MAX_SEGMENT_BYTES
from beam_s3box.records import RecordRules
from beam_s3box.routing import Router, StreamNaming
from beam_s3box.streamer.output import Output
from beam_s3box.streams import Stream

_VERSION = 1
_LONGEST_HEADER = 1 << 20


def header_of(stream: Stream, output: Output) -> bytes:
    """Return the first line of a buffer file."""
    return orjson.dumps({"beam_s3box_buffer": _VERSION, **stream._asdict(), **output._asdict()})


def read_header(path: pathlib.Path) -> tuple[Stream, Output] | None:
    """Return whose records a buffer file holds and what becomes of them; None if its first line is no header."""
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER)
    try:
        header = orjson.loads(line)
        if header.pop("beam_s3box_buffer") != _VERSION or not line.endswith(b"\n"):
            return None
        output = Output(header.pop("format"), header.pop("compression"))
        output.make()
        return Stream(**header), output
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def has_records(path: pathlib.Path) -> bool:
    """Return whether a first record may have been acknowledged: the header and it are written at once, both whole."""
    with path.open("rb") as file:
        return bool(file.readline().endswith(b"\n") and file.readline().endswith(b"\n"))


def read_lines(path: pathlib.Path) -> Iterator[list[bytes]]:
    """Yield the records in batches of about a segment; a last line without its end was never acknowledged."""
    with path.open("rb") as file:
        file.readline()
        while lines := file.readlines(MAX_SEGMENT_BYTES):
            yield [line[:-1] for line in lines if line.endswith(b"\n")]


def read_whole_records(path: pathlib.Path, stream: Stream, damaged: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the records as `read_lines` does, of a file that a crash left; what is none is added to `damaged`.

    A process that is killed leaves nothing of that kind; a machine that loses power does.
    """
    router = Router(StreamNaming(*stream), RecordRules(None, forbid_nul=False))
    for lines in read_lines(path):
        groups, refused = router.route_lines(lines)
        damaged += (line.raw + b"\n" for line in refused)
        yield groups.get(stream, [])
