"""Faults of rows that are read by columns."""

from __future__ import annotations

from tools.mutants.fault import Fault

_SAME = "rows that are read by columns are the same as row by row"
_TESTS = ("tests/jobs/read/rows/test_columns.py",)

COLUMNS = (
    Fault(
        "control characters of a column are not escaped",
        _SAME,
        "beam_s3box/jobs/read/columns/json_texts.py",
        "ord('\"'), *range(_FIRST_PRINTABLE)]",
        "ord('\"')]",
        _TESTS,
    ),
    Fault(
        "a CSV block with a quote out of place is read by columns",
        _SAME,
        "beam_s3box/jobs/read/csv/blocks.py",
        "        if not (self._before[before].all() and self._behind[behind].all()):\n            return None\n",
        "",
        _TESTS,
    ),
    Fault(
        "rows of a block without a stream are lost",
        "each record is listed or a dead letter",
        "beam_s3box/records/routing.py",
        "            except RecordError:\n                left.append(group)\n                continue\n",
        "            except RecordError:\n                continue\n",
        _TESTS,
    ),
    Fault(
        "rows of a stream change places",
        "the order within a stream is kept",
        "beam_s3box/records/column_batch.py",
        'else codes, kind="stable")',
        "else codes)",
        _TESTS,
    ),
    Fault(
        "a text is cut behind the limit",
        "a shard never exceeds a limit, unless a single record does",
        "beam_s3box/engine/shard_builder.py",
        "text.rfind(_LINE_BREAK, 0, most_bytes)",
        "text.rfind(_LINE_BREAK, 0, most_bytes + 99)",
        ("tests/engine/test_shard_builder.py",),
    ),
)
