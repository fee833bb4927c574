"""Faults of the input: lines, packed files, what is rejected."""

from __future__ import annotations

from tools.mutants.fault import Fault

INPUT = (
    Fault(
        "the rest of a file after one gzip member is dropped",
        "every line of a file is read",
        "beam_s3box/records/unpack.py",
        "            data = _skip_padding(file, member.unused_data, read_bytes)\n            if not data:\n                return\n",
        "            data = member.unused_data\n            if not data:\n                return\n",
        (
            "tests/records/test_lines.py",
            "tests/jobs/read",
            "tests/cli/commands",
        ),
    ),
    Fault(
        "a cut gzip file ends quietly",
        "a damaged file is an error",
        "beam_s3box/records/unpack.py",
        '            if not data:\n                raise ConfigurationError(f"input={path!r} ends in',
        '            if not data:\n                return\n                raise ConfigurationError(f"input={path!r} ends in',
        (
            "tests/records/test_lines.py",
            "tests/jobs/read",
        ),
    ),
    Fault(
        "the last line without a line break is dropped",
        "every line of a file is read",
        "beam_s3box/records/lines.py",
        "    yield from batches([begun.end()], 1)\n",
        "    begun.end()\n",
        ("tests/records/test_lines.py",),
    ),
    Fault(
        "a line over two blocks is two lines",
        "a record is never cut",
        "beam_s3box/records/lines.py",
        "            begun.add(lines.pop())\n",
        "",
        ("tests/records/test_lines.py",),
    ),
    Fault(
        "line numbers are those of the lines that are not blank",
        "a dead letter names its line",
        "beam_s3box/records/lines.py",
        "            number += len(lines)\n",
        "            number += sum(map(bool, lines))\n",
        ("tests/records/test_lines.py",),
    ),
    Fault(
        "a limit of bytes is off by one",
        "a record of max_record_bytes is accepted",
        "beam_s3box/records/lines.py",
        "        if self._bytes <= self._max_bytes:\n            self._held += part",
        "        if self._bytes < self._max_bytes:\n            self._held += part",
        ("tests/records/test_lines.py",),
    ),
    Fault(
        "invalid UTF-8 is packed",
        "what COPY can't read is a dead letter",
        "beam_s3box/records/routing.py",
        'is_text = text.isascii() or _utf8_fault(b"\\n".join(lines)) is None',
        "is_text = True",
        ("tests/records/test_routing.py",),
    ),
    Fault(
        "a number and its text are two groups of one stream",
        "the order of a stream is kept",
        "beam_s3box/records/routing.py",
        "        if not self._add_named(fallback, groups, rejected):\n            return self._route_one_by_one(lines)\n",
        "        self._add_named(fallback, groups, rejected)\n",
        ("tests/records/test_routing.py",),
    ),
    Fault(
        "line breaks within a record are packed",
        "a record is one line",
        "beam_s3box/records/routing.py",
        'return b"\\n" in text or b"\\r" in text or',
        "return",
        ("tests/records/test_routing.py",),
    ),
    Fault(
        "lines that were cut are routed with others",
        "what COPY can't read is a dead letter",
        "beam_s3box/records/routing.py",
        'or b"\\0" in text or self._rules',
        "or self._rules",
        ("tests/records/test_lines.py",),
    ),
    Fault(
        "dead letters are not counted",
        "records in = records listed + dead letters",
        "beam_s3box/engine/input_totals.py",
        "new = InputTotals(records - len(letters), len(letters), reasons)",
        "new = InputTotals(records, 0, reasons)",
        ("tests/engine/test_intake.py",),
    ),
    Fault(
        "the last dead letters are not written",
        "dead letters are complete",
        "beam_s3box/engine/dead_letters.py",
        "        self._upload(self._builder.finish().shards)\n        self._queue.finish()\n",
        "        self._queue.finish()\n",
        ("tests/engine/test_dead_letters.py",),
    ),
    Fault(
        "a file that changes is read on",
        "a file is read in the version that was listed",
        "beam_s3box/system/local_files.py",
        "    if version and version_of(descriptor) != version:",
        "    if False:",
        (
            "tests/jobs/read",
            "tests/cli/commands",
        ),
    ),
)
