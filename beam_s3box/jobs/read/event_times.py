"""When a record happened, read off its line in microseconds since 1970, and for which period it counts."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.windows import MICROS, Timing

AHEAD = 600 * MICROS
"""That much a record's clock may be ahead; a window that lies further ahead would keep its manifest waiting."""

OLDEST_ARRIVAL = 3600 * MICROS
"""That long ago a file may have arrived when it is found, and still counts for when it arrived: as long as a job may
take to go on after it went back to a checkpoint. For so long windows are kept."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
_KNOWN_TEXTS = 65_536
_DATE_DIGITS = 8

# up to the year 5138 in each unit, and none begins before another has ended but for the 1970s
_MOST_SECONDS, _MOST_MILLIS, _MOST_MICROS = 10**11, 10**14, 10**17


class Placed(NamedTuple):
    """Lines by the time that they count for.

    Attributes:
      groups: places of lines in their batch, by the start of a period, in microseconds since 1970.
      untimed, ahead, too_late: how many lines count for the time their file arrived, because they hold no time, one
        that lies ahead, or one whose window is gone.
    """

    groups: dict[int, Sequence[int]]
    untimed: int = 0
    ahead: int = 0
    too_late: int = 0


class Placer:
    """Says for which period a line counts.

    No line is rejected here, and none is too late for the manifest of its window: such a line counts for the period in
    which its file arrived, which is still kept. The answer depends on nothing but the line and that time, so that a
    line that is read again, after a runner went back, counts for the same period.

    Args:
      timing: when records happened, and which go together.

    Raises:
      ConfigurationError: the name of the field can't be one.
    """

    def __init__(self, timing: Timing) -> None:
        self._windows = timing.windows
        self._micros_of = None if timing.field is None else field_reader(timing.field)
        self._delay = int(timing.delay * MICROS)
        self._lateness = int(timing.lateness * MICROS)

    def place(self, lines: list[bytes], arrived: int) -> Placed:
        """Return lines by period.

        Args:
          lines: of one file.
          arrived: when the file did (see `arrival_of`).
        """
        windows = self._windows
        arrival = windows.period_of(arrived)
        if self._micros_of is None:
            return Placed({windows.start_of(arrival): range(len(lines))})
        micros_of, period_of = self._micros_of, windows.period_of
        first, latest = self._first_open(arrived), arrived + AHEAD
        periods: dict[int, list[int]] = {}
        untimed = ahead = too_late = 0
        for at, line in enumerate(lines):
            micros = micros_of(line)
            if micros is None:
                untimed += 1
                period = arrival
            elif micros > latest:
                ahead += 1
                period = arrival
            else:
                period = period_of(micros)
                if period < first:
                    too_late += 1
                    period = arrival
            group = periods.get(period)
            if group is None:
                periods[period] = [at]
            else:
                group.append(at)
        groups: dict[int, Sequence[int]] = {windows.start_of(period): group for period, group in periods.items()}
        return Placed(groups, untimed, ahead, too_late)

    def _first_open(self, arrived: int) -> int:
        """Return the first period all of whose windows are open, lateness included, when the file arrives."""
        # a window is over for its records once the watermark, which is that time - delay, has passed its lateness
        return self._windows.period_of(arrived - self._delay - self._lateness)


def arrival_of(changed: float, found: int, begun: int) -> int | None:
    """Return when a file arrived: when it was last changed, or when the job began, whichever is later.

    Both stay as they are when a runner goes back to a checkpoint and the job finds the file again, later.

    Args:
      changed: when the file was last changed, in seconds since 1970; 0 if its file system does not record it.
      found: when the job found it.
      begun: when the job began.

    Returns:
      Microseconds since 1970. None for a file that was changed more than an hour before it is found, so that its window
      may be gone, or by a clock far ahead.
    """
    arrived = max(int(changed * MICROS), begun)
    return arrived if changed and found - OLDEST_ARRIVAL <= arrived <= found + AHEAD else None


def micros_of(value: str | int | float | None) -> int | None:
    """Return the time that a value names, in microseconds since 1970, or None: a time before 1970 counts as none."""
    if isinstance(value, str):
        return _micros_of_text(value)
    return None if value is None else _micros_of_number(value)


@functools.lru_cache(_KNOWN_TEXTS)
def _micros_of_text(text: str) -> int | None:
    if _NUMBER.fullmatch(text) and len(text) != _DATE_DIGITS:
        return _micros_of_number(float(text) if "." in text else int(text))
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    micros = (moment - _EPOCH) // _MICROSECOND
    return micros if micros >= 0 else None


def _micros_of_number(number: int | float) -> int | None:
    if number < 0:
        return None
    if number < _MOST_SECONDS:
        return round(number * MICROS)
    if number < _MOST_MILLIS:
        return round(number * 1_000)
    return round(number) if number < _MOST_MICROS else int(number // 1_000)


def field_reader(field: str) -> Callable[[bytes], int | None]:
    """Return the function from a line to its time.

    Raises:
      ConfigurationError: the name can't be that of a field.
    """
    member = ("time", str | int | float | None, msgspec.field(name=field, default=None))
    try:
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(msgspec.defstruct("Time", [member], gc=False)).decode
    except ValueError as exc:
        raise ConfigurationError(f"--timestamp_field={field!r} can't be used: {exc}") from exc

    def read(line: bytes) -> int | None:
        try:
            return micros_of(decode(line).time)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # no JSON, or another kind of value: the write says what is wrong with the line, if anything is
            return None

    return read
