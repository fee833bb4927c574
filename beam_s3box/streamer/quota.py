"""How many bytes a streamer may keep on disk."""

from __future__ import annotations

import threading

from beam_s3box.errors import DiskQuotaError
from beam_s3box.sizes import format_size


class DiskQuota:
    """Counts the bytes of buffers and files; refuses more records over the maximum. Safe from many threads.

    Args:
      max_bytes: None for no limit.
    """

    def __init__(self, max_bytes: int | None) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self.used = 0

    def take(self, size: int) -> None:
        """Count bytes that are about to be written.

        Raises:
          DiskQuotaError: they don't fit.
        """
        with self._lock:
            if self._max_bytes is not None and self.used + size > self._max_bytes:
                raise DiskQuotaError(
                    f"the record was not taken: max_disk_bytes={self._max_bytes} is reached "
                    f"({format_size(self.used)} wait to be uploaded); see the stats for what fails, or allow more"
                )
            self.used += size

    def add(self, size: int) -> None:
        """Count bytes that must be written whatever the maximum, or, negative, that are gone."""
        with self._lock:
            self.used += size
