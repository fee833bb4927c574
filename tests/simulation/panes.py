"""A GroupByKey of unbounded input: groups wait for the end of their window, an early firing, or nothing if they are late."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, TypeAlias

from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AfterProcessingTime, AfterWatermark
from apache_beam.transforms.window import BoundedWindow
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming, WindowedValue

Place: TypeAlias = tuple[Any, BoundedWindow]
"""A key and a window."""


class Firing(NamedTuple):
    """When the panes of a window fire.

    Attributes:
      early: microseconds after the first element of a pane; None for only at the end of the window.
      lateness: microseconds for which a window takes late elements, each of which fires.
    """

    early: int | None
    lateness: int

    @classmethod
    def of(cls, windowing: Windowing) -> Firing:
        """Return what the trigger of the package says."""
        trigger = windowing.triggerfn
        early = trigger.early if isinstance(trigger, AfterWatermark) else None
        delay = early.underlying.delay if early is not None and hasattr(early, "underlying") else None
        if isinstance(early, AfterProcessingTime):
            delay = early.delay
        return cls(None if delay is None else int(delay * 1_000_000), windowing.allowed_lateness.micros)


@dataclasses.dataclass(frozen=True)
class Pane:
    """What a key and a window have waiting.

    Attributes:
      values: that no firing had yet.
      index: of the next firing.
      early: when the next early firing is due.
      has_ended: whether the firing at the end of the window was.
    """

    values: tuple[Any, ...] = ()
    index: int = 0
    early: int | None = None
    has_ended: bool = False


class Groups:
    """The groups of one GroupByKey.

    Args:
      firing: when they fire.
      panes: by key and window.
    """

    def __init__(self, firing: Firing, panes: dict[Place, Pane] | None = None) -> None:
        self._firing = firing
        self.panes = panes or {}

    def copy(self) -> Groups:
        return Groups(self._firing, dict(self.panes))

    def add(self, element: WindowedValue, watermark: int, now: int) -> bool:
        """Take an element; return False if its window is over, and it is dropped."""
        key, value = element.value
        (window,) = element.windows
        if _end(window) + self._firing.lateness < watermark:
            return False
        pane = self.panes.get((key, window), Pane())
        early = pane.early
        if early is None and self._firing.early is not None and _end(window) >= watermark:
            early = now + self._firing.early
        self.panes[key, window] = dataclasses.replace(pane, values=(*pane.values, value), early=early)
        return True

    def due(self, watermark: int, now: int) -> list[Place]:
        """Return what has something to fire."""
        return [place for place, pane in self.panes.items() if self._is_due(place[1], pane, watermark, now)]

    def fire(self, place: Place, watermark: int) -> WindowedValue:
        """Return a firing: a key with its values, of none where a window ends without any."""
        key, window = place
        pane = self.panes[place]
        ends = _end(window) < watermark
        timing = PaneInfoTiming.EARLY if not ends else PaneInfoTiming.LATE if pane.has_ended else PaneInfoTiming.ON_TIME
        info = PaneInfo(pane.index == 0, False, timing, pane.index, max(0, pane.index - 1))
        self.panes[place] = Pane(index=pane.index + 1, has_ended=ends)
        return WindowedValue((key, list(pane.values)), window.max_timestamp(), (window,), info)

    def forget(self, watermark: int) -> None:
        """Let go windows that take nothing any more."""
        over = [
            place
            for place, pane in self.panes.items()
            if pane.has_ended and not pane.values and _end(place[1]) + self._firing.lateness < watermark
        ]
        for place in over:
            del self.panes[place]

    def holds(self) -> int | None:
        """Return the time before which something may still be emitted that is not late."""
        return min((_end(window) for (_, window), pane in self.panes.items() if pane.values), default=None)

    def next_early(self) -> int | None:
        return min((pane.early for pane in self.panes.values() if pane.early is not None), default=None)

    def _is_due(self, window: BoundedWindow, pane: Pane, watermark: int, now: int) -> bool:
        if _end(window) < watermark:
            return bool(pane.values) or not pane.has_ended
        return pane.early is not None and pane.early <= now and bool(pane.values)


def _end(window: BoundedWindow) -> int:
    return int(window.max_timestamp().micros)
