"""Readers between two bundles: they stay open in their process, so that what they have fetched need not be again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from beam_s3box.sources.positions import Ranges
from beam_s3box.sources.source import PartReader
from beam_s3box.sources.watermark import PartsWatermark
from beam_s3box.system.outside import steady_seconds

Place: TypeAlias = tuple[str, int, Ranges]
"""The token of a step, the number of a reader, and the positions that it comes to next."""

_KEPT_SECONDS: Final = 600.0
"""A runner that gave the work to another process never asks for the reader here."""


class OpenReader(NamedTuple):
    """A reader, and what is known of the times of its records."""

    reader: PartReader
    watermark: PartsWatermark


class ParkedReaders:
    """Readers that wait for the bundle which goes on where they are. Safe for use by many threads.

    Args:
      clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = steady_seconds) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._readers: dict[Place, tuple[float, OpenReader]] = {}

    def take(self, place: Place) -> OpenReader | None:
        """Return the reader that comes to this place next, None if there is none."""
        with self._lock:
            _, found = self._readers.pop(place, (0.0, None))
        return found

    def park(self, place: Place, reader: OpenReader) -> None:
        """Keep a reader for the bundle that goes on at this place; close those that nobody has asked for."""
        now = self._clock()
        with self._lock:
            old = [key for key, (since, _) in self._readers.items() if key == place or now - since > _KEPT_SECONDS]
            closing = [self._readers.pop(key)[1] for key in old]
            self._readers[place] = now, reader
        for one in closing:
            one.reader.close()


PARKED: Final = ParkedReaders()
"""Those of this process."""
