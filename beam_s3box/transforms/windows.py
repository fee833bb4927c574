"""Windows: their names in keys, and a way there and back as bytes, so that a key can carry its window."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any, Final

from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
    NonMergingWindowFn,
    SlidingWindows,
    WindowFn,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Duration, Timestamp

from beam_s3box.errors import ConfigurationError

_TELLING_CHARACTERS = 8

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_CALENDAR_YEARS: Final = 400
_CALENDAR_SECONDS: Final = 146_097 * 86_400
"""After so many years, which are so many seconds, the Gregorian calendar repeats itself."""


class Windows:
    """Names, encodes and restores the windows that one window function makes.

    Args:
      windowfn: of the PCollection.
    """

    def __init__(self, windowfn: WindowFn) -> None:
        self._windowfn = windowfn
        self._coder = windowfn.get_window_coder()

    def name(self, window: Any) -> str:
        """Return the window's name in keys: "" for the global window, else its bounds in UTC, which sort by time.

        A window of a class of its own may be more than its bounds: a digest of all of it tells it from others. Every
        time that Beam can carry has a name, so that one record with a wrong clock never stops the others.

        Raises:
          ConfigurationError: a bound lies within a millisecond.
        """
        if isinstance(window, GlobalWindow):
            return ""
        _check_bounds(window)
        if type(window) is IntervalWindow:
            return f"{_compact(window.start)}-{_compact(window.end)}"
        digest = hashlib.sha256(self.encode(window)).hexdigest()[:_TELLING_CHARACTERS]
        return f"until-{_compact(window.end)}-{digest}"

    def encode(self, window: Any) -> bytes:
        """Return the window as bytes; equal windows give equal ones."""
        encoded: bytes = self._coder.encode(window)
        return encoded

    def decode(self, encoded: bytes) -> Any:
        """Return the window that `encode` made these bytes of."""
        return self._coder.decode(encoded)

    def are_of(self, encoded: bytes) -> bool:
        """Return whether the window function makes the window that these bytes stand for."""
        context = WindowFn.AssignContext(last_moment(self.decode(encoded)))
        return encoded in map(self.encode, self._windowfn.assign(context))


class WindowOfKey(NonMergingWindowFn):
    """Puts `(encoded window, value)` back into its window, for windows that follow from more than a timestamp."""

    def __init__(self, windowfn: WindowFn) -> None:
        super().__init__()
        self._coder = windowfn.get_window_coder()

    def assign(self, assign_context: WindowFn.AssignContext) -> list[Any]:
        """Return the window that the element carries."""
        return [self._coder.decode(assign_context.element[0])]

    def get_window_coder(self) -> Any:
        """Return the coder of the windows."""
        return self._coder


def restoring_windowfn(windowfn: WindowFn) -> WindowFn:
    """Return a function that assigns `(encoded window, value)`, stamped with the window's end, to that window.

    Beam's own functions are known to every runner and assign it among others; any other one may have looked at the
    record, which is gone.
    """
    return windowfn if type(windowfn) in (FixedWindows, SlidingWindows, GlobalWindows) else WindowOfKey(windowfn)


def last_moment(window: Any) -> Timestamp:
    """Return the last moment of a window: what its elements are stamped with. Beam carries no time beyond its last."""
    return min(window.max_timestamp(), MAX_TIMESTAMP)


def is_whole_milliseconds(time: Timestamp | Duration) -> bool:
    """Return whether runners keep this time as it is: they count in milliseconds."""
    return bool(time.micros % 1_000 == 0)


def _check_bounds(window: Any) -> None:
    bounds = [window.start, window.end] if isinstance(window, IntervalWindow) else [window.end]
    if not all(map(is_whole_milliseconds, bounds)):
        raise ConfigurationError(
            f"windowing: the window {window!r} begins or ends within a millisecond, which runners cut off, so that its "
            "records would be lost: use windows whose bounds are whole milliseconds"
        )


def _compact(timestamp: Timestamp) -> str:
    """Return a time as ISO 8601 writes it without separators; years beyond four digits are marked, and still sort."""
    seconds, micros = divmod(timestamp.micros, 1_000_000)
    # Beam's times reach farther than datetime's, by 290,000 years on each side
    cycles, within = divmod(seconds, _CALENDAR_SECONDS)
    moment = _EPOCH + datetime.timedelta(seconds=within)
    fraction = f".{micros:06d}" if micros else ""
    return f"{_year(moment.year + cycles * _CALENDAR_YEARS)}{moment:%m%dT%H%M%S}{fraction}Z"


def _year(year: int) -> str:
    if 1 <= year <= 9999:
        return f"{year:04d}"
    # "-" sorts before all digits and "Y" behind them; "+", as ISO 8601 has it, means a space in URLs
    return f"Y{year:06d}" if year > 0 else f"-{-year:06d}"
