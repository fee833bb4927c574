"""An encoded record takes the memory of its text: many wait to be compressed, and limits count their bytes."""

from __future__ import annotations

import tracemalloc

from beam_s3box.box.records import RecordReader
from beam_s3box.records.encoding import encode_record, record_rules
from beam_s3box.records.selector import StreamSelector

RECORD = {"d": "web", "n": "clicks", "i": 7, "text": "x" * 60}
COUNT = 1_000


def bytes_of(lines: list[bytes]) -> float:
    """Return how many bytes each takes that was made since tracing began."""
    current, _ = tracemalloc.get_traced_memory()
    return current / len(lines)


def test_a_line_takes_its_own_bytes() -> None:
    reader = RecordReader(StreamSelector("d", "n"), record_rules(for_redshift=True), None)
    for encode in (encode_record, reader.line):
        tracemalloc.start()
        try:
            taken = bytes_of(lines := [encode(RECORD) for _ in range(COUNT)])
        finally:
            tracemalloc.stop()
        assert taken < 2 * len(lines[0])
