"""Windows: their names in keys, and a way there and back as bytes, so that a key can carry its window."""

from __future__ import annotations

import hashlib
from typing import Any

from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
    NonMergingWindowFn,
    SlidingWindows,
    WindowFn,
)
from apache_beam.utils.timestamp import Timestamp

from beam_s3box.errors import ConfigurationError

_TELLING_CHARACTERS = 8


class Windows:
    """Names, encodes and restores the windows that one window function makes.

    Args:
      windowfn: of the PCollection.
    """

    def __init__(self, windowfn: WindowFn) -> None:
        self._coder = windowfn.get_window_coder()

    def name(self, window: Any) -> str:
        """Return the window's name in keys: "" for the global window, else its bounds in UTC, which sort by time.

        A window of a class of its own may be more than its bounds: a digest of all of it tells it from others.
        """
        if isinstance(window, GlobalWindow):
            return ""
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


def restoring(windowfn: WindowFn) -> WindowFn:
    """Return a function that assigns `(encoded window, value)`, stamped with the window's end, to that window.

    Beam's own functions are known to every runner and assign it among others; any other one may have looked at the
    record, which is gone.
    """
    return windowfn if type(windowfn) in (FixedWindows, SlidingWindows, GlobalWindows) else WindowOfKey(windowfn)


def _compact(timestamp: Timestamp) -> str:
    try:
        moment = timestamp.to_utc_datetime()
    except OverflowError as exc:
        raise ConfigurationError(
            "the records are in windows but have no event time, so that these lie before all dates: give each record "
            "its time, as TimestampedValue(record, seconds), or write them in the global window"
        ) from exc
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return f"{moment:%Y%m%dT%H%M%S}{fraction}Z"
