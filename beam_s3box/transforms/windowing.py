"""Which windows, triggers and lateness a write supports, and which ones it rejects."""

from __future__ import annotations

import math
from typing import Any

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    DataLossReason,
    DefaultTrigger,
    TriggerFn,
)
from apache_beam.transforms.window import GlobalWindows, SlidingWindows, WindowFn
from apache_beam.utils.timestamp import Duration, Timestamp

from beam_s3box.errors import ConfigurationError
from beam_s3box.transforms.windows import is_whole_milliseconds

_TIMER_SECONDS = 60.0
"""How far a processing-time timer may be behind the watermark."""


class WindowingChoice:
    """The windowing that the user asks for; everything else is that of the input.

    Args:
      windowing: a WindowInto, used as it is, or a window function.
      allowed_lateness: seconds after a window's end for which late records get manifests of their own.
      triggering_frequency: seconds between manifests of a window that has not ended.

    Raises:
      ConfigurationError: an argument has the wrong type, is out of range, or is given twice.
    """

    def __init__(
        self,
        windowing: beam.WindowInto | WindowFn | None,
        allowed_lateness: float | None,
        triggering_frequency: int | None,
    ) -> None:
        if windowing is not None and not isinstance(windowing, beam.WindowInto | WindowFn):
            raise ConfigurationError(
                f"windowing={windowing!r} must be a window function such as FixedWindows(60), or a WindowInto"
            )
        if isinstance(windowing, beam.WindowInto) and (
            allowed_lateness is not None or triggering_frequency is not None
        ):
            raise ConfigurationError(
                "windowing is a WindowInto, which has its own trigger and lateness: set allowed_lateness and "
                "triggering_frequency there, or give a window function, such as windowing=FixedWindows(60)"
            )
        self._windowing = windowing
        self._lateness = _checked_lateness(allowed_lateness)
        self._triggering_frequency = _checked_frequency(triggering_frequency)

    def apply_to(self, records: beam.PCollection[Any]) -> Windowing:
        """Return the windowing of the write.

        Raises:
          ConfigurationError: these windows or triggers would lose records or list shards twice.
        """
        windowing = self._resolved(records)
        _check_windows(windowing)
        _check_accumulation(windowing)
        if records.is_bounded:
            # the end of the input fires every window once: local runners fail on processing-time triggers, and a
            # trigger that fires more often would split the manifests
            return Windowing(windowing.windowfn, timestamp_combiner=windowing.timestamp_combiner)
        _check_unbounded(windowing)
        return _discarding(windowing)

    def changes(self) -> bool:
        """Return whether the input has to be windowed again."""
        return self._windowing is not None or self._lateness is not None or self._triggering_frequency is not None

    def _resolved(self, records: beam.PCollection[Any]) -> Windowing:
        if isinstance(self._windowing, beam.WindowInto):
            return self._windowing.windowing
        if not self.changes():
            return records.windowing
        windowfn = self._windowing if self._windowing is not None else records.windowing.windowfn
        lateness = self._lateness_seconds()
        trigger = AfterWatermark(
            early=AfterProcessingTime(self._triggering_frequency) if self._triggering_frequency else None,
            late=AfterCount(1) if lateness else None,
        )
        return Windowing(windowfn, trigger, AccumulationMode.DISCARDING, allowed_lateness=lateness)

    def _lateness_seconds(self) -> float:
        """Return how many seconds runners keep a window after its end."""
        if self._triggering_frequency is None:
            return self._lateness or 0
        # Prism panics when the timer of an early firing is due after its window was dropped
        return max(self._lateness or 0, self._triggering_frequency + _TIMER_SECONDS)


def _checked_lateness(seconds: float | None) -> float | None:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 0 <= seconds < math.inf):
        raise ConfigurationError(f"allowed_lateness={seconds!r} must be a number of seconds of at least 0")
    return seconds


def _checked_frequency(seconds: int | None) -> int | None:
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1):
        # Beam can't translate fractions of a second in a trigger
        raise ConfigurationError(f"triggering_frequency={seconds!r} must be a whole number of seconds of at least 1")
    return seconds


def _check_windows(windowing: Windowing) -> None:
    if windowing.windowfn.is_merging():
        raise ConfigurationError(
            f"the input's windows ({windowing.windowfn}) merge, and a sealed shard can't move to another window: use "
            "fixed, sliding or other windows that don't merge, such as windowing=FixedWindows(60), or "
            "windowing=GlobalWindows() for bounded input"
        )
    _check_gaps(windowing.windowfn)
    for name in ("size", "period", "offset"):
        length = getattr(windowing.windowfn, name, None)
        if isinstance(length, Duration | Timestamp) and not is_whole_milliseconds(length):
            raise ConfigurationError(
                f"windowing: the {name} of {windowing.windowfn!r} is {length.micros} microseconds; runners count in "
                "milliseconds: records of such windows would be lost; use whole milliseconds, such as FixedWindows(0.5)"
            )


def _check_gaps(windowfn: WindowFn) -> None:
    """Raise ConfigurationError if times are in no window: Beam drops their records before a step sees them."""
    if isinstance(windowfn, SlidingWindows) and windowfn.period > windowfn.size:
        size, period = float(windowfn.size), float(windowfn.period)
        raise ConfigurationError(
            f"windowing: SlidingWindows({size:g}, {period:g}) begin every {period:g} s and last {size:g} s: records "
            "between them would be in no window, and lost; use a period of at most the size, such as "
            f"SlidingWindows({period:g}, {size:g}), or FixedWindows({period:g})"
        )


def _check_accumulation(windowing: Windowing) -> None:
    accumulates = windowing.accumulation_mode == AccumulationMode.ACCUMULATING
    if accumulates and windowing.triggerfn != DefaultTrigger():
        raise ConfigurationError(
            "the input's accumulation mode is ACCUMULATING: later manifests would list shards again, and COPY would "
            "load them twice; use AccumulationMode.DISCARDING"
        )


def _check_unbounded(windowing: Windowing) -> None:
    if isinstance(windowing.windowfn, GlobalWindows) and _waits_for_the_end(windowing.triggerfn):
        raise ConfigurationError(
            "the input is unbounded and in the global window, which never ends, so no manifest would ever be written: "
            "give windowing=FixedWindows(60) for manifests every minute, or triggering_frequency=60 for manifests of "
            "the global window"
        )
    reason = windowing.triggerfn.may_lose_data(windowing)
    if reason != DataLossReason.NO_POTENTIAL_LOSS:
        raise ConfigurationError(
            f"the trigger {windowing.triggerfn} may lose shards ({str(reason).rpartition('.')[2]}): no manifest would "
            "list them; give windowing=FixedWindows(60) and allowed_lateness, and the write chooses a trigger, or one "
            "that also fires for late records, such as AfterWatermark(late=AfterCount(1))"
        )


def _waits_for_the_end(trigger: TriggerFn) -> bool:
    return isinstance(trigger, DefaultTrigger) or (isinstance(trigger, AfterWatermark) and trigger.early is None)


def _discarding(windowing: Windowing) -> Windowing:
    """Return the windowing in discarding mode: with lateness a default trigger would list shards again."""
    return Windowing(
        windowing.windowfn,
        windowing.triggerfn,
        AccumulationMode.DISCARDING,
        windowing.timestamp_combiner,
        windowing.allowed_lateness,
        windowing.environment_id,
    )


def window_into(windowing: Windowing, windowfn: WindowFn | None = None) -> beam.WindowInto:
    """Return the step that applies all of a windowing, with another window function if one is given."""
    return beam.WindowInto(
        windowfn if windowfn is not None else windowing.windowfn,
        trigger=windowing.triggerfn,
        accumulation_mode=windowing.accumulation_mode,
        timestamp_combiner=windowing.timestamp_combiner,
        allowed_lateness=windowing.allowed_lateness,
    )
