"""What became of the records that came in: how many are accepted, how many are dead letters, and why."""

from __future__ import annotations

import collections
import difflib
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.records.encoding import MISSING_STREAM
from beam_s3box.records.routing import StreamSelector

_RAW_BYTES: Final = 200
"""Of the first example of a reason."""

_MAX_FIELDS: Final = 12
"""Fields of a record that are named."""

_MAX_SOURCES: Final = 5
"""Files without any good record that are named; of the others, the number is known."""


_reason_of: Final = operator.attrgetter("reason")


class Example(NamedTuple):
    """The first dead letter of a reason.

    Attributes:
      detail: what is wrong with it.
      hint: which fields it has, and what was probably meant; empty where that tells nothing.
      source: the file that it was read from, empty if unknown.
      line: its line there, or its row, from 1.
      offset: the byte of the file at which the count of lines begins; 0 for its beginning.
      raw: how the record begins.
    """

    detail: str
    hint: str
    source: str
    line: int | None
    offset: int
    raw: str

    @property
    def explanation(self) -> str:
        """The detail, and the hint if there is one."""
        return f"{self.detail}; {self.hint}" if self.hint else self.detail

    @property
    def place(self) -> str:
        """File and line as text; empty if unknown."""
        if not self.source or self.line is None:
            return self.source
        behind = f" from byte {self.offset} on" if self.offset else ""
        return f"{self.source}, line {self.line}{behind}"


class Reason(NamedTuple):
    """Dead letters of one reason.

    Attributes:
      records: how many.
      example: the first of them.
    """

    records: int
    example: Example


class InputTotals(NamedTuple):
    """Counts of records that came in, of a bundle, a file or a whole run. Sums of sums are sums.

    Attributes:
      accepted: records that are packed.
      rejected: records that are dead letters.
      reasons: of the dead letters.
      bad_files: some of the files whose records are all dead letters, each with their number.
      bad_file_count: how many such files there are.
    """

    accepted: int = 0
    rejected: int = 0
    reasons: Mapping[str, Reason] = {}
    bad_files: tuple[tuple[str, int], ...] = ()
    bad_file_count: int = 0

    @property
    def records(self) -> int:
        """All records."""
        return self.accepted + self.rejected

    def plus(self, other: InputTotals) -> InputTotals:
        """Return the sum; of two examples, this one's."""
        reasons = dict(self.reasons)
        for name, reason in other.reasons.items():
            mine = reasons.get(name)
            reasons[name] = reason if mine is None else Reason(mine.records + reason.records, mine.example)
        return InputTotals(
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            reasons,
            (*self.bad_files, *other.bad_files)[:_MAX_SOURCES],
            self.bad_file_count + other.bad_file_count,
        )

    def of_file(self, source: str) -> InputTotals:
        """Return these sums, which are those of a whole file, as a part of a run's."""
        if not source or self.accepted or not self.rejected:
            return self
        return self._replace(bad_files=((source, self.rejected),), bad_file_count=1)

    def sorted_reasons(self) -> list[tuple[str, Reason]]:
        """Return the reasons, the most frequent first."""
        return sorted(self.reasons.items(), key=lambda item: (-item[1].records, item[0]))


class InputCounter:
    """Counts records by the file that they came from, as they come; for one thread.

    Args:
      selector: how records name their streams.
    """

    def __init__(self, selector: StreamSelector) -> None:
        self._selector = selector
        self._counts: dict[str, list[int]] = {}
        self._reasons: dict[str, collections.Counter[str]] = {}
        self._examples: dict[tuple[str, str], Example] = {}

    def count(self, source: str, records: int, letters: Sequence[DeadLetter]) -> dict[str, int]:
        """Count records that came in together, and those of them that are dead letters; return these by reason."""
        counts = self._counts.setdefault(source, [0, 0])
        counts[0] += records - len(letters)
        counts[1] += len(letters)
        if not letters:
            return {}
        reasons = self._reasons.setdefault(source, collections.Counter())
        new = collections.Counter(map(_reason_of, letters))
        for reason in new.keys() - reasons.keys():
            self._examples[source, reason] = example_of(first_of(reason, letters), self._selector)
        reasons.update(new)
        return new

    def totals(self) -> dict[str, InputTotals]:
        """Return the sums by file."""
        return {
            source: InputTotals(accepted, rejected, self._reasons_of(source))
            for source, (accepted, rejected) in self._counts.items()
        }

    def _reasons_of(self, source: str) -> dict[str, Reason]:
        return {
            name: Reason(number, self._examples[source, name]) for name, number in self._reasons.get(source, {}).items()
        }


def sum_totals(totals: Iterable[InputTotals]) -> InputTotals:
    """Return the sum."""
    total = InputTotals()
    for one in totals:
        total = total.plus(one)
    return total


def first_of(reason: str, letters: Sequence[DeadLetter]) -> DeadLetter:
    """Return the first dead letter of a reason."""
    return next(letter for letter in letters if letter.reason == reason)


def describe(records: int, name: str, example: Example) -> str:
    """Return a reason as one line: `56,147 missing-stream: ...; fields there: ...; did you mean 'carrier'?`."""
    place = f" ({example.place})" if example.place else ""
    return f"{records:,} {name}: {example.explanation}{place}"


def example_of(letter: DeadLetter, selector: StreamSelector) -> Example:
    """Return the dead letter as the example of its reason."""
    return Example(
        letter.detail,
        _hint_of(letter, selector) if letter.reason == MISSING_STREAM else "",
        letter.source or "",
        letter.line,
        letter.offset or 0,
        letter.raw[:_RAW_BYTES].decode("utf-8", "replace"),
    )


def _hint_of(letter: DeadLetter, selector: StreamSelector) -> str:
    """Return which fields a record has, and which of them the missing one is most like."""
    try:
        record = orjson.loads(letter.raw)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(record, dict):
        return ""
    if not record:
        return "it has no fields"
    shown = [*list(record)[:_MAX_FIELDS], *(["…"] if len(record) > _MAX_FIELDS else [])]
    hint = f"fields there: {', '.join(shown)}"
    for field in (selector.domain_field, selector.namespace_field):
        if field is not None and record.get(field) is None:
            by_case = {name.casefold(): name for name in record if name != field}
            close = difflib.get_close_matches(field.casefold(), by_case, 1)
            return f"{hint}; did you mean {by_case[close[0]]!r}?" if close else hint
    return hint
