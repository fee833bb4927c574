"""Shows how far a run is: a live line on a terminal, else a line in the log every 10 seconds."""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol, TypeAlias

from beam_s3box import metrics
from beam_s3box.cli.console.output import has_live_lines, live_line
from beam_s3box.sizes import format_seconds, format_size

Totals: TypeAlias = Callable[[], Mapping[str, int]]

LOG_SECONDS: Final = 10.0
"""Seconds between two lines in the log."""

_LIVE_SECONDS: Final = 0.25
_RATE_SECONDS: Final = 30.0
"""The rate is that of so many seconds before now."""

_MIN_RATE_SECONDS: Final = 0.001
_MIN_ETA_SECONDS: Final = 1.0


class Progressing(Protocol):
    """Something that says how far it is."""

    def line(self) -> str:
        """Return how far it is, as one line."""
        ...


class _Sample(NamedTuple):
    """The counts at one time.

    Attributes:
      at: the time, in seconds.
      moved: bytes read or, where those are not counted, packed.
      files: files read.
      lag: milliseconds from their arrival until then, summed.
    """

    at: float
    moved: int
    files: int = 0
    lag: int = 0


class Progress:
    """Where the figures of a run come from, and how they read.

    Args:
      totals: the counts so far.
      clock: seconds.
      input_bytes: bytes of all files that are to be read; None if unknown.
    """

    def __init__(
        self, totals: Totals, clock: Callable[[], float] = time.monotonic, input_bytes: int | None = None
    ) -> None:
        self._totals = totals
        self._clock = clock
        self._input_bytes = input_bytes
        self._began = clock()
        self._samples = collections.deque([_Sample(self._began, 0)])

    def totals(self) -> Mapping[str, int]:
        """Return the counts so far."""
        return self._totals()

    def line(self) -> str:
        """Return how far the run is."""
        totals = self._totals()
        now = self._clock()
        if not any(totals.values()):
            # the rate is that of the work, without the time that a runner needs to start
            self._samples[0] = _Sample(now, 0)
            return f"at work · {int(now - self._began)} s"
        get = totals.get
        read = get(metrics.INPUT_BYTES, 0)
        files, lag = get(metrics.FILES_READ, 0), get(metrics.FILE_LAG_MILLISECONDS, 0)
        sample = _Sample(now, read or get(metrics.RAW_BYTES, 0), files, lag)
        before = self._sample_before(sample)
        rate = (sample.moved - before.moved) / max(now - before.at, _MIN_RATE_SECONDS)
        parts = [
            *self._read(read),
            f"{get(metrics.RECORDS_IN, 0):,} records",
            *_some(get(metrics.DEAD_LETTERS, 0), "dead letter", "dead letters"),
            *_some(get(metrics.RECORDS_LATE, 0), "late", "late"),
            *_some(get(metrics.FILES_FOUND, 0) - files, "file waiting", "files waiting"),
            f"{format_size(get(metrics.RAW_BYTES, 0))} packed",
            f"{get(metrics.SHARDS, 0):,} shards",
            *_some(get(metrics.MANIFESTS, 0), "manifest", "manifests"),
            f"{format_size(get(metrics.OBJECT_BYTES, 0))} on S3",
            f"{format_size(int(rate))}/s",
            *_lag(sample, before),
            format_seconds(int(now - self._began)),
            *self._left(read, rate),
        ]
        return " · ".join(parts)

    def _sample_before(self, sample: _Sample) -> _Sample:
        """Note a sample, and return one of about `_RATE_SECONDS` before."""
        self._samples.append(sample)
        while len(self._samples) > 2 and self._samples[1].at <= sample.at - _RATE_SECONDS:
            self._samples.popleft()
        return self._samples[0]

    def _read(self, read: int) -> Iterator[str]:
        if self._input_bytes and read:
            share = min(read / self._input_bytes, 1.0)
            yield f"{share:.0%}, {format_size(min(read, self._input_bytes))} of {format_size(self._input_bytes)} read"
        elif read:
            yield f"{format_size(read)} read"

    def _left(self, read: int, rate: float) -> Iterator[str]:
        if self._input_bytes and rate > 0 and 0 < read < self._input_bytes:
            seconds = (self._input_bytes - read) / rate
            if seconds >= _MIN_ETA_SECONDS:
                yield f"{format_seconds(int(seconds))} left"


def _some(number: int, one: str, many: str) -> Iterator[str]:
    if number > 0:
        yield f"{number:,} {one if number == 1 else many}"


def _lag(sample: _Sample, before: _Sample) -> Iterator[str]:
    """Yield how long files waited lately, from their arrival until they were read."""
    files = sample.files - before.files
    if files > 0 and sample.lag > before.lag:
        yield f"lag {format_seconds((sample.lag - before.lag) / files / 1000)}"


@contextlib.contextmanager
def shown(
    progress: Progressing, log: logging.Logger, log_seconds: float = LOG_SECONDS, *, is_quiet: bool = False
) -> Iterator[None]:
    """Show the progress until the block ends, unless that is to be quiet; without a terminal, every `log_seconds`."""
    with contextlib.ExitStack() as undo:
        if not is_quiet and has_live_lines():
            show = undo.enter_context(live_line())
            show(progress.line())
            undo.enter_context(_every(_LIVE_SECONDS, lambda: show(progress.line()), log))
        elif not is_quiet:
            undo.enter_context(_every(log_seconds, lambda: log.info(progress.line()), log))
        yield


@contextlib.contextmanager
def _every(seconds: float, action: Callable[[], object], log: logging.Logger) -> Iterator[None]:
    """Do something every so many seconds, in a thread of its own, until the block ends."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            try:
                action()
            except Exception:  # whatever a runner's metrics raise, the run continues without a progress line
                log.warning("no more progress lines: the counters can't be read", exc_info=True)
                return

    thread = threading.Thread(target=repeat, name="beam_s3box-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
