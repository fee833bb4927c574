"""How many records of a run may be dead letters before it fails, and the message of that failure."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from beam_s3box.engine.input_totals import InputTotals
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

    def __str__(self) -> str:
        if self.percent is not None:
            return f"{self.percent:g}%"
        return "not all" if self.records is None else str(self.records)

    @property
    def needs_end(self) -> bool:
        """Whether it can be decided only at the end of the input."""
        return self.records is None and self.percent != 100

    def check_so_far(self, totals: InputTotals) -> None:
        """Raise DeadLettersError if a part of the input alone has too many."""
        if self.records is not None and totals.rejected > self.records:
            raise _error(totals, f" so far, more than max_dead_letters={self.records}")

    def check(self, totals: InputTotals, where: str) -> None:
        """Raise DeadLettersError if a run has too many.

        Args:
          totals: of the whole input.
          where: the dead letters are.
        """
        broken = self._broken_by(totals)
        if broken:
            raise _error(totals, f", {broken}", f"They are below {where}. ")

    def _broken_by(self, totals: InputTotals) -> str:
        """Return how a run breaks the limit, empty if it does not."""
        if self.records is not None:
            return f"more than max_dead_letters={self.records}" if totals.rejected > self.records else ""
        if self.percent is not None:
            is_over = totals.rejected * 100 > self.percent * totals.records
            return f"more than max_dead_letters='{self.percent:g}%'" if is_over else ""
        if totals.rejected and not totals.accepted:
            return "that is every one"
        return f"among them every one of {_named(totals)}" if totals.bad_file_count else ""


NOT_ALL: Final = DeadLetterLimit()
"""The default."""


def _error(totals: InputTotals, rule: str, where: str = "") -> DeadLettersError:
    reasons = totals.sorted_reasons()
    shown = list(map(str, reasons[:_SHOWN]))
    if len(reasons) > _SHOWN:
        shown.append(f"{len(reasons) - _SHOWN} more reasons")
    return DeadLettersError(
        f"{totals.rejected:,} of {totals.records:,} records are dead letters{rule}: {' | '.join(shown)}. "
        f"The first begins {reasons[0].example!r}. {where}Correct the input or the options, or accept dead letters "
        "with max_dead_letters='100%'"
    )


def _named(totals: InputTotals) -> str:
    names = ", ".join(name for name, _ in totals.bad_files)
    left = totals.bad_file_count - len(totals.bad_files)
    return f"{names} and {left:,} more files" if left else names
