"""What became of the records that came in: how many are accepted, how many are dead letters, and why."""

from __future__ import annotations

import collections
import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from beam_s3box.engine.dead_letters import DeadLetter, DeadLetterBatch
from beam_s3box.records.encoding import MISSING_STREAM, MISSING_TIMESTAMP
from beam_s3box.records.selector import missing_name

StreamName: TypeAlias = tuple[str | None, str | None]
"""Domain and namespace, None for what nobody knows."""

LettersByStream: TypeAlias = Mapping[StreamName, Mapping[str, int]]
"""Numbers of dead letters by stream and reason."""

_NO_STREAMS: Final[LettersByStream] = {}
_RAW_BYTES: Final = 200
"""Of the first example of a reason."""

_MAX_FIELDS: Final = 12
"""Fields of a record that are named."""

MAX_STREAMS: Final = 1_000
"""Streams whose dead letters are counted on their own: bad data may name any number."""

OTHERS: Final[StreamName] = (None, None)
"""Stands for streams beyond these, and for those of which nobody knows domain and namespace."""

_MAX_SOURCES: Final = 5
"""Files without any good record that are named; of the others, the number is known."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetterReason:
    """Dead letters of one reason, and the first of them as an example.

    Attributes:
      reason: one of `beam_s3box.records.encoding.REASONS`.
      records: how many.
      detail: what is wrong with the example.
      hint: which fields it has, and what was probably meant; empty where that tells nothing.
      source: the file or partition that it was read from, empty if unknown.
      line: its line there, or its row, from 1.
      offset: its position there where it has no line; else the byte of the file at which the count of lines begins,
        where workers share a large file.
      example: how it begins.
    """

    reason: str
    records: int
    detail: str
    hint: str
    source: str
    line: int | None
    offset: int | str | None
    example: str

    @classmethod
    def of(cls, letter: DeadLetter, records: int) -> DeadLetterReason:
        """Return the reason of so many dead letters, of which this one is the first."""
        hint = field_hint(letter.reason, letter.detail, letter.raw)
        example = letter.raw[:_RAW_BYTES].decode("utf-8", "replace")
        position = letter.offset if letter.sequence_number is None else letter.sequence_number
        return cls(letter.reason, records, letter.detail, hint, letter.source or "", letter.line, position, example)

    def plus(self, records: int) -> DeadLetterReason:
        """Return the reason with so many more records."""
        return dataclasses.replace(self, records=self.records + records)

    @property
    def place(self) -> str:
        """Where the first record is, in brackets behind a blank; empty if nobody knows."""
        line = "" if self.line is None else f", line {self.line}"
        if self.line is None and self.offset is not None:
            behind = f", offset {self.offset}"
        else:
            behind = f" from byte {self.offset} on" if self.offset else ""
        return f" ({self.source}{line}{behind})" if self.source else ""

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.records:,} {self.reason}: {self.detail}{hint}{self.place}"


class InputTotals(NamedTuple):
    """Counts of records that came in, of a bundle, a file or a whole run. Sums of sums are sums.

    Attributes:
      accepted: records that are packed.
      rejected: records that are dead letters.
      reasons: of the dead letters.
      bad_files: some of the files whose records are all dead letters, each with their number.
      bad_file_count: how many such files there are.
      streams: dead letters by the stream's domain and namespace, and by reason; see `OTHERS`.
    """

    accepted: int = 0
    rejected: int = 0
    reasons: Mapping[str, DeadLetterReason] = {}
    bad_files: tuple[tuple[str, int], ...] = ()
    bad_file_count: int = 0
    streams: LettersByStream = _NO_STREAMS

    @property
    def records(self) -> int:
        """All records."""
        return self.accepted + self.rejected

    def plus(self, other: InputTotals) -> InputTotals:
        """Return the sum; of two examples, this one's."""
        reasons = dict(self.reasons)
        for name, reason in other.reasons.items():
            mine = reasons.get(name)
            reasons[name] = mine.plus(reason.records) if mine else reason
        return InputTotals(
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            reasons,
            (*self.bad_files, *other.bad_files)[:_MAX_SOURCES],
            self.bad_file_count + other.bad_file_count,
            _streams_of(self.streams, other.streams),
        )

    def of_file(self, source: str) -> InputTotals:
        """Return these sums, which are those of a whole file, as a part of a run's."""
        if not source or self.accepted or not self.rejected:
            return self
        return self._replace(bad_files=((source, self.rejected),), bad_file_count=1)

    def sorted_reasons(self) -> list[DeadLetterReason]:
        """Return the reasons, the most frequent first."""
        return sorted(self.reasons.values(), key=lambda reason: (-reason.records, reason.reason))


class InputCounter:
    """Counts records by the file that they came from, as they come; for one thread."""

    def __init__(self) -> None:
        self._totals: dict[str, InputTotals] = {}
        self._streams: dict[str, dict[StreamName, dict[str, int]]] = {}

    def count(self, source: str, records: int, letters: DeadLetterBatch) -> Mapping[str, DeadLetterReason]:
        """Count records that came in together, and those of them that are dead letters; return the reasons of these."""
        by_stream: collections.Counter[tuple[StreamName, str]] = collections.Counter()
        by_reason: collections.Counter[str] = collections.Counter()
        first: dict[str, int] = {}
        for (stream, reason, _), places in letters.runs:
            by_stream[stream, reason] += len(places)
            by_reason[reason] += len(places)
            first.setdefault(reason, places.start)
        reasons = {reason: DeadLetterReason.of(letters[first[reason]], number) for reason, number in by_reason.items()}
        new = InputTotals(records - len(letters), len(letters), reasons)
        before = self._totals.get(source)
        self._totals[source] = new if before is None else before.plus(new)
        for (stream, reason), number in by_stream.items():
            _count(self._streams.setdefault(source, {}), (stream[0], stream[1]), reason, number)
        return reasons

    def totals(self) -> dict[str, InputTotals]:
        """Return the sums by file."""
        streams = self._streams
        return {source: totals._replace(streams=streams.get(source, {})) for source, totals in self._totals.items()}


def sum_totals(totals: Iterable[InputTotals]) -> InputTotals:
    """Return the sum."""
    total = InputTotals()
    for one in totals:
        total = total.plus(one)
    return total


def _streams_of(one: LettersByStream, other: LettersByStream) -> LettersByStream:
    """Return the sum of two counts by stream and reason."""
    if not one or not other:
        return one or other
    found = {stream: dict(reasons) for stream, reasons in one.items()}
    for stream, reasons in other.items():
        for reason, number in reasons.items():
            _count(found, stream, reason, number)
    return found


def _count(found: dict[StreamName, dict[str, int]], stream: StreamName, reason: str, number: int) -> None:
    reasons = found.setdefault(stream if stream in found or len(found) < MAX_STREAMS else OTHERS, {})
    reasons[reason] = reasons.get(reason, 0) + number


def field_hint(reason: str, detail: str, raw: bytes) -> str:
    """Return which fields a rejected record has, and which of them the missing one is most like.

    Args:
      reason: of the rejection.
      detail: what exactly is wrong.
      raw: the record.
    """
    if reason not in (MISSING_STREAM, MISSING_TIMESTAMP):
        return ""
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(record, dict):
        return ""
    if not record:
        return "it has no fields"
    shown = [*list(record)[:_MAX_FIELDS], *(["…"] if len(record) > _MAX_FIELDS else [])]
    hint = f"fields there: {', '.join(shown)}"
    missing = missing_name(detail)
    if missing is None:
        return hint
    by_case = {name.casefold(): name for name in _field_names(record) if name != missing}
    close = difflib.get_close_matches(missing.casefold(), by_case, 1)
    return f"{hint}; did you mean {by_case[close[0]]!r}?" if close else hint


def _field_names(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a record's fields, and of those of its objects as `user.name`."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)
        yield name
