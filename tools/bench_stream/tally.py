"""What went through a pipeline whose workers are in this process, and how long that took.

Engines need seconds to take a pipeline and to say that it is done; these are no part of what is measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import apache_beam as beam


class Tally:
    """Counts from the first record that is read to the last thing that is written; safe from many threads.

    Args:
      clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: float | None = None
        self._ended = 0.0
        self.records = 0
        self.outputs = 0

    @property
    def seconds(self) -> float:
        """Between begin and last output; 0 before there are both."""
        return self._ended - self._begun if self._begun is not None and self.outputs else 0.0

    def begin(self) -> None:
        """Note that the source is about to give out a record; only the first time counts."""
        with self._lock:
            if self._begun is None:
                self._begun = self._clock()

    def add(self, records: int) -> None:
        """Note an output, and how many records it stands for."""
        with self._lock:
            self.records += records
            self.outputs += 1
            self._ended = self._clock()


TALLY = Tally()
"""Of this process: a runner hands copies of steps to its workers, and they meet here."""


class Note(beam.DoFn):
    """Adds the outputs of a pipeline, given as numbers of records, to the tally."""

    def process(self, records: int) -> None:
        """Add one."""
        TALLY.add(records)
