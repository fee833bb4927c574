"""The watermark of a reader: the least over its parts, so that the slowest one holds back the windows.

It is worked out within a reader, and not left to the runner: Prism keeps one estimate for a whole step, that of the
bundle which ended last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

MICROS: Final = 1_000_000


class Pacing(NamedTuple):
    """How a reader keeps time, in seconds.

    Attributes:
      delay: that the watermark stays behind the times of records.
      idle: since a part was found at its end, after which it counts as having reached the present.
      look: between two looks for new parts.
      bundle: from one bundle's end to the next.
      stop_after: how long to read; None for ever.
    """

    delay: float = 2.0
    idle: float = 10.0
    look: float = 10.0
    bundle: float = 1.0
    stop_after: float | None = None


class PartsWatermark:
    """The times of the records of one reader. All times are in microseconds since 1970.

    Args:
      pacing: how the reader keeps time.
      now: when the reader was opened, which has looked for parts then.

    Attributes:
      current: the watermark; None if it was never known.
    """

    def __init__(self, pacing: Pacing, now: int) -> None:
        self._delay = int(pacing.delay * MICROS)
        self._idle = int(pacing.idle * MICROS)
        self._look = int(pacing.look * MICROS)
        self._latest: dict[str, int] = {}
        self._quiet: dict[str, int] = {}
        self._looked = now
        self.current: int | None = None

    def looked(self, now: int) -> None:
        """Note that all parts there were are known."""
        self._looked = now

    def is_look_due(self, now: int) -> bool:
        """Return whether it is time to look for new parts."""
        # a clock that was set back must not put the look off
        return not 0 <= now - self._looked < self._look

    def saw(self, part: str, latest: int, now: int) -> None:
        """Note the latest time in records of a part; a time to come counts as the present."""
        self._quiet.pop(part, None)
        self._latest[part] = max(self._latest.get(part, 0), min(latest, now))

    def forget(self, parts: Iterable[str]) -> None:
        """Forget parts that the source has no more."""
        for part in parts:
            self._latest.pop(part, None)
            self._quiet.pop(part, None)

    def after(self, parts: Iterable[str], at_end: Callable[[str], bool], now: int) -> int | None:
        """Return the watermark after a poll that began at this time, None if it was never known.

        A part that nobody knows the time of, because it has had no record yet and is not at its end either, holds it.
        So does the last look for parts: one that is created later has records since then.
        """
        times = [self._time_of(part, at_end(part), now) for part in parts]
        known = [time for time in times if time is not None]
        if len(known) == len(times):
            self.current = min([*known, now, self._looked + self._look]) - self._delay
        return self.current

    def _time_of(self, part: str, is_at_end: bool, now: int) -> int | None:
        if not is_at_end:
            self._quiet.pop(part, None)
        elif now - self._quiet.setdefault(part, now) >= self._idle:
            return now
        return self._latest.get(part)


class LeastOfReaders:
    """The least watermark of all readers of a step that are in this process, for a runner that keeps one estimate.

    Readers see of each other what the runner has committed: what a bundle still emits may be older than its watermark.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[str, dict[int, int | None]] = {}

    def commit(self, step: str, reader: int, watermark: int | None) -> None:
        """Note the watermark of a reader that its last bundle ended with.

        Args:
          step: its token.
          reader: the number of the reader.
          watermark: None if it is not known.
        """
        with self._lock:
            self._times.setdefault(step, {})[reader] = watermark

    def least(self, step: str, reader: int, readers: int, watermark: int | None) -> int | None:
        """Return the least of a reader's own watermark and those that others have committed; None if one is not known.

        Args:
          step: its token.
          reader: the number of the reader.
          readers: how many there are.
          watermark: of that reader, now.
        """
        with self._lock:
            times = self._times.get(step, {}) | {reader: watermark}
        known = [time for time in times.values() if time is not None]
        return min(known) if len(known) == readers else None


LEAST: Final = LeastOfReaders()
"""That of this process."""
