"""The dead letters of a run: why, how many, and what they look like."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import orjson

from beam_s3box.engine.input_totals import DeadLetterReason
from beam_s3box.engine.run_reader import Run
from beam_s3box.errors import S3BoxError
from beam_s3box.records.unpack import unpack
from beam_s3box.runs.report.figures import LetterFigures
from beam_s3box.sizes import KiB, MiB

_EXAMPLES: Final = 5
"""Of each reason."""

_FILES: Final = 8
"""Files that are read: more would say no more."""

_FILE_BYTES: Final = 4 * MiB
"""Unpacked, of each file."""

_EXAMPLE_CHARACTERS: Final = 300


def letters_of(run: Run) -> LetterFigures:
    """Return the dead letters of a run: by its record or, where it has none of them yet, by some of their files.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    files = list(run.dead_letter_files())
    read = _Read()
    for info in files[:_FILES]:
        read.add_file(run.store.get(info.key), run.store.url(info.key))
    known = run.record.input
    by_record = known is not None and (bool(known.reasons) or not files)
    reasons = known.reasons if known is not None and by_record else read.sorted_reasons()
    return LetterFigures(
        records=known.rejected if known is not None and by_record else (None if files else 0),
        reasons=reasons,
        examples=read.examples,
        files=len(files),
        file_bytes=sum(info.size for info in files),
        url=run.store.url(run.layout.dead_letter_folder),
        unreadable=read.unreadable,
        is_complete=by_record or (len(files) <= _FILES and not read.is_cut and not read.unreadable),
    )


class _Read:
    def __init__(self) -> None:
        self.examples: dict[str, list[str]] = {}
        self.is_cut = False
        self.unreadable: list[str] = []
        self._reasons: dict[str, DeadLetterReason] = {}

    def sorted_reasons(self) -> list[DeadLetterReason]:
        return sorted(self._reasons.values(), key=lambda reason: (-reason.records, reason.reason))

    def add_file(self, body: bytes, url: str) -> None:
        try:
            for line in self._lines(body, url):
                self._add(orjson.loads(line))
        except (S3BoxError, ValueError):
            self.unreadable.append(url)  # which the report says; the others say as much as they can

    def _lines(self, body: bytes, url: str) -> Iterator[bytes]:
        rest, read = b"", 0
        for block in unpack(io.BytesIO(body), "gzip", url, 256 * KiB):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
            read += len(block)
            if read > _FILE_BYTES:
                self.is_cut = True
                return

    def _add(self, letter: dict[str, Any]) -> None:
        reason = str(letter.get("reason"))
        example = str(letter.get("raw", letter.get("raw_hex", "")))[:_EXAMPLE_CHARACTERS]
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES and example not in examples:
            examples.append(example)
        known = self._reasons.get(reason)
        if known is not None:
            self._reasons[reason] = known.plus(1)
            return
        self._reasons[reason] = DeadLetterReason(
            reason,
            1,
            str(letter.get("detail", "")),
            "",
            str(letter.get("source") or ""),
            letter.get("line"),
            letter.get("offset"),
            example,
        )
