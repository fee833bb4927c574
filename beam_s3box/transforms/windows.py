"""Windows: their names in keys, and their encoding as bytes, so that a key can contain a window."""

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
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Duration, Timestamp

from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.window_names import moment_name, window_name

_TELLING_CHARACTERS = 8


class Windows:
    """Names, encodes and decodes the windows of one window function.

    Args:
      windowfn: the window function of the PCollection.
    """

    def __init__(self, windowfn: WindowFn) -> None:
        self._windowfn = windowfn
        self._coder = windowfn.get_window_coder()

    def name(self, window: Any) -> str:
        """Return the name of the window in keys: "" for the global one, otherwise its bounds in UTC, sortable.

        A window of another class may have more properties than its bounds: a digest of all of them distinguishes it.
        Every time that Beam supports has a name, so that one record with a wrong clock never stops the others.

        Raises:
          ConfigurationError: a bound is not a whole millisecond.
        """
        if isinstance(window, GlobalWindow):
            return ""
        _check_bounds(window)
        if type(window) is IntervalWindow:
            return window_name(window.start.micros, window.end.micros)
        digest = hashlib.sha256(self.encode(window)).hexdigest()[:_TELLING_CHARACTERS]
        return f"until-{moment_name(window.end.micros)}-{digest}"

    def encode(self, window: Any) -> bytes:
        """Return the window as bytes; equal windows have equal bytes."""
        encoded: bytes = self._coder.encode(window)
        return encoded

    def decode(self, encoded: bytes) -> Any:
        """Return the window from the bytes of `encode`."""
        return self._coder.decode(encoded)

    def are_of(self, encoded: bytes) -> bool:
        """Return whether the window function assigns elements to this encoded window."""
        context = WindowFn.AssignContext(last_moment(self.decode(encoded)))
        return encoded in map(self.encode, self._windowfn.assign(context))


class WindowOfKey(NonMergingWindowFn):
    """Assigns `(encoded window, value)` to its window, for windows that depend on more than the timestamp."""

    def __init__(self, windowfn: WindowFn) -> None:
        super().__init__()
        self._coder = windowfn.get_window_coder()

    def assign(self, assign_context: WindowFn.AssignContext) -> list[Any]:
        """Return the window in the element."""
        return [self._coder.decode(assign_context.element[0])]

    def get_window_coder(self) -> Any:
        """Return the coder of the windows."""
        return self._coder


def restoring_windowfn(windowfn: WindowFn) -> WindowFn:
    """Return a function that assigns `(encoded window, value)`, at the end of the window, to that window.

    Beam's own functions are known to every runner and assign to that window among others; any other function may
    depend on the record, which is not available any more.
    """
    return windowfn if type(windowfn) in (FixedWindows, SlidingWindows, GlobalWindows) else WindowOfKey(windowfn)


def last_moment(window: Any) -> Timestamp:
    """Return the last moment of a window, the timestamp of its output, which must not be after MAX_TIMESTAMP."""
    return min(window.max_timestamp(), MAX_TIMESTAMP)


def is_whole_milliseconds(time: Timestamp | Duration) -> bool:
    """Return whether runners represent this time exactly: they count in milliseconds."""
    return bool(time.micros % 1_000 == 0)


def _check_bounds(window: Any) -> None:
    bounds = [window.start, window.end] if isinstance(window, IntervalWindow) else [window.end]
    if not all(map(is_whole_milliseconds, bounds)):
        raise ConfigurationError(
            f"windowing: the window {window!r} begins or ends at a fraction of a millisecond, which runners cut off, "
            "so that its records would be lost: use windows whose bounds are whole milliseconds"
        )
