"""The names of all metrics, which are the same in Beam and in the embedded API, and metrics in memory."""

from __future__ import annotations

import collections
import threading
from typing import Final, Protocol

from beam_s3box.system.forks import renew_in_children

NAMESPACE: Final = "beam_s3box"
"""The namespace of all metrics in `result.metrics()`."""

RECORDS_IN: Final = "records_in"
RECORDS_LISTED: Final = "records_listed"
DEAD_LETTERS: Final = "dead_letters"
SHARDS: Final = "shards"
RAW_BYTES: Final = "raw_bytes"
OBJECT_BYTES: Final = "object_bytes"
MANIFESTS: Final = "manifests"
REST_BYTES: Final = "rest_bytes"
RECORDS_LATE: Final = "records_late"
STATE_READS: Final = "state_reads"
STATE_WRITES: Final = "state_writes"
UPLOAD_ATTEMPTS: Final = "upload_attempts"
UPLOAD_MILLISECONDS: Final = "upload_milliseconds"


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

    def totals(self) -> dict[str, int]:
        """Return all counts so far."""
        with self._lock:
            return dict(self._totals)


PROGRESS: Final = MemoryMetrics()
"""The counts of this process, for a progress line; unlike in Beam's metrics, a retried bundle counts again."""
