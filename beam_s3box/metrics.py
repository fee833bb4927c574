"""The names of all metrics, which are the same in Beam and in the embedded API, and metrics in memory."""

from __future__ import annotations

import collections
import contextlib
import functools
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from beam_s3box.system.forks import renew_in_children
from beam_s3box.system.outside import steady_seconds

NAMESPACE: Final = "beam_s3box"
"""The namespace of all metrics in `result.metrics()`."""

INPUT_BYTES: Final = "input_bytes"
"""Of files, as they are stored."""

FILES_FOUND: Final = "files_found"
FILES_READ: Final = "files_read"
FILE_LAG_MILLISECONDS: Final = "file_lag_milliseconds"
"""From the arrival of a file to the time it was read, summed over files."""

RECORDS_IN: Final = "records_in"
RECORDS_LISTED: Final = "records_listed"
DEAD_LETTERS: Final = "dead_letters"
SHARDS: Final = "shards"
RAW_BYTES: Final = "raw_bytes"
OBJECT_BYTES: Final = "object_bytes"
MANIFESTS: Final = "manifests"
SHUFFLED_BYTES: Final = "shuffled_bytes"
RECORDS_LATE: Final = "records_late"
STATE_READS: Final = "state_reads"
STATE_WRITES: Final = "state_writes"
UPLOAD_ATTEMPTS: Final = "upload_attempts"
UPLOAD_MILLISECONDS: Final = "upload_milliseconds"
FRESHNESS_MILLISECONDS: Final = "freshness_milliseconds"
"""Of each shard of unbounded input: from the arrival of its first record to the time when a manifest lists it."""

THROTTLED_SECONDS: Final = "cumulativeThrottlingSeconds"
"""Waits before another attempt, because the store refused or failed. Dataflow adds no workers while it grows: the name
is that of `apache_beam.io.components.adaptive_throttler`."""


GAUGES: Final = frozenset(
    {"pending", "failed", "open_streams", "disk_bytes", "unlisted_files", "damaged_files", "pending_files"}
)
"""Figures of boxes and streamers that go up and down; all others only go up."""


class HasStats(Protocol):
    """An S3Box, a JsonBufferStreamer, or anything whose `stats` is a NamedTuple or a dataclass of numbers."""

    @property
    def stats(self) -> Any:
        """Return what it has done so far."""
        ...


def figures_of(source: HasStats | Callable[[], Mapping[str, float]]) -> Callable[[], Mapping[str, float]]:
    """Return a function that returns the figures of a box or a streamer by name; a function stays as it is."""
    return source if callable(source) else lambda: _numbers_in(source.stats)


def _numbers_in(stats: Any) -> dict[str, float]:
    """Return the numbers of stats by name; of what is a list, how many there are."""
    values: dict[str, Any] = stats._asdict() if hasattr(stats, "_asdict") else vars(stats)
    numbers: dict[str, float] = {name: value for name, value in values.items() if isinstance(value, int | float)}
    return numbers | {f"{name}_files": len(value) for name, value in values.items() if isinstance(value, tuple | list)}


class Metrics(Protocol):
    """A receiver of counts and measurements."""

    def count(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        ...

    def measure(self, name: str, value: int) -> None:
        """Add a value to a distribution."""
        ...


class MemoryMetrics:
    """Metrics in memory, safe for use by many threads; of a distribution only the sum is kept."""

    def __init__(self) -> None:
        self.after_fork()
        self._totals: collections.Counter[str] = collections.Counter()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Take a new lock."""
        # reentrant: a call that was interrupted may still hold it, on the same thread
        self._lock = threading.RLock()

    def count(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._totals[name] += number

    def measure(self, name: str, value: int) -> None:
        """Add a value to the sum of a distribution."""
        self.count(name, value)

    def clear(self) -> None:
        """Forget all counts."""
        with self._lock:
            self._totals.clear()

    def totals(self) -> dict[str, int]:
        """Return all counts so far."""
        with self._lock:
            return dict(self._totals)


class SharedMetrics(MemoryMetrics):
    """Counts in memory, and writes the counts to a file that another process reads; the last ones may be missing there.

    Args:
      folder: of the files, one a process; empty for none.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self._due = 0.0

    def count(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        super().count(name, number)
        if not self.folder:
            return
        with self._lock:
            if steady_seconds() < self._due:
                return
            self._due = steady_seconds() + _SHARE_SECONDS
            path = os.path.join(self.folder, str(os.getpid()))
            # the folder goes when the launcher has ended: nobody reads any more
            with contextlib.suppress(OSError):
                with open(f"{path}.new", "w", encoding="utf-8") as file:
                    json.dump(self._totals, file)
                os.replace(f"{path}.new", f"{path}.json")


@contextlib.contextmanager
def shared_by_children() -> Iterator[Callable[[], dict[str, int]]]:
    """Within the block, let processes that are started count into files; yield what sums them up."""
    with tempfile.TemporaryDirectory(prefix="beam_s3box-progress-") as folder:
        os.environ[_FOLDER] = folder
        try:
            yield functools.partial(_sum_of, folder)
        finally:
            del os.environ[_FOLDER]


def folder_to_share() -> str:
    """Return where children of this process write their counts now; empty for nowhere."""
    return os.environ.get(_FOLDER, "")


def _sum_of(folder: str) -> dict[str, int]:
    totals: collections.Counter[str] = collections.Counter()
    for name in os.listdir(folder):
        if name.endswith(".json"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                totals.update(json.load(file))
    return dict(totals)


_FOLDER: Final = "BEAM_S3BOX_PROGRESS"
"""Variable of the environment that names the folder to a child process."""

_SHARE_SECONDS: Final = 0.5

PROGRESS: Final = SharedMetrics(os.environ.get(_FOLDER, ""))
"""The counts of this process, for a progress line; unlike in Beam's metrics, a retried bundle counts again."""
