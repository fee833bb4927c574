"""How many records of a run may be dead letters before it fails, and how that is told."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from beam_s3box.engine.input_totals import InputTotals, describe
from beam_s3box.errors import ConfigurationError, DeadLettersError

_SHOWN: Final = 3
"""Reasons in an error."""

_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d+)?) ?%", re.ASCII)


@dataclasses.dataclass(frozen=True)
class DeadLetterLimit:
    """The most dead letters of a run; neither set: not all records of the run, nor of one of its files.

    Attributes:
      records: this many.
      percent: this share of all records.
    """

    records: int | None = None
    percent: float | None = None

    @classmethod
    def of(cls, value: int | str | None) -> DeadLetterLimit:
        """Return the limit that a user gave: a number, as number or text, or a share as `"5%"`; None for the default.

        Raises:
          ConfigurationError: neither of these.
        """
        if value is None:
            return cls()
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str):
            match = _PERCENT.fullmatch(text)
            if match and float(match[1]) <= 100:
                return cls(percent=float(match[1]))
            text = int(text) if text.isascii() and text.isdigit() else text
        if isinstance(text, bool) or not isinstance(text, int) or text < 0:
            raise ConfigurationError(
                f"max_dead_letters={value!r} must be a whole number of records, or a share of them such as '5%': 0 "
                "fails on the first, '100%' never"
            )
        return cls(records=text)

    @property
    def needs_end(self) -> bool:
        """Whether it can be told only at the end of the input."""
        return self.records is None and self.percent != 100

    def check_so_far(self, totals: InputTotals, where: str) -> None:
        """Raise DeadLettersError if a part of the input alone has too many.

        Args:
          totals: of the part.
          where: the dead letters are.
        """
        if self.records is not None and totals.rejected > self.records:
            raise self._error(totals, f"more than max_dead_letters={self.records}", where, "or raise max_dead_letters")

    def check(self, totals: InputTotals, where: str) -> None:
        """Raise DeadLettersError if a run has too many.

        Args:
          totals: of the whole input.
          where: the dead letters are.
        """
        self.check_so_far(totals, where)
        if self.percent is not None and totals.rejected * 100 > self.percent * totals.records:
            raise self._error(
                totals, f"more than max_dead_letters='{self.percent:g}%'", where, "or raise max_dead_letters"
            )
        if self != NOT_ALL:
            return
        accept = "or accept that with max_dead_letters='100%'"
        if totals.rejected and not totals.accepted:
            raise self._error(totals, "that is every one", where, accept)
        if totals.bad_file_count:
            raise self._error(totals, f"every one of {_named(totals)}", where, accept)

    def _error(self, totals: InputTotals, rule: str, where: str, way_out: str) -> DeadLettersError:
        shown = [describe(reason.records, name, reason.example) for name, reason in totals.sorted_reasons()]
        more = [f"{len(shown) - _SHOWN} more reasons"] if len(shown) > _SHOWN else []
        example = totals.sorted_reasons()[0][1].example.raw
        return DeadLettersError(
            f"{totals.rejected:,} of {totals.records:,} records are dead letters, {rule}: "
            f"{' | '.join(shown[:_SHOWN] + more)}. The first begins {example!r}. They are below {where}: correct the "
            f"input or the options, {way_out}"
        )


NOT_ALL: Final = DeadLetterLimit()
"""The default."""


def _named(totals: InputTotals) -> str:
    names = ", ".join(name for name, _ in totals.bad_files)
    left = totals.bad_file_count - len(totals.bad_files)
    return f"{names} and {left:,} more files" if left else names
