"""How many bytes a streamer may keep on disk: its own maximum, and the free space of the disk."""

from __future__ import annotations

import os
import pathlib
import sys
import threading

from beam_s3box.errors import DiskQuotaError
from beam_s3box.sizes import format_size
from beam_s3box.streamer.guard import synchronized

_BLOCKS = 8 * 1024
"""Bytes that a file and its description may take beyond their size, because disks allocate whole blocks."""


class _Sizes:
    """Sizes by name, and their sum, which is computed again after `set` was interrupted."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}
        self._total = 0
        self._exact = True

    @property
    def total(self) -> int:
        """The sum."""
        if not self._exact:
            self._total = sum(self.by_name.values())
            self._exact = True
        return self._total

    def set(self, name: str, size: int | None) -> None:
        """Set a size; None and 0 remove it."""
        total, before = self.total, self.by_name.get(name, 0)
        self._exact = False
        if size:
            self.by_name[name] = size
        else:
            self.by_name.pop(name, None)
        self._total = total + (size or 0) - before
        self._exact = True


class DiskQuota:
    """Tracks the size of each file and what each buffer will need; rejects records over a maximum.

    Sizes are set, not incremented, so that a step that is repeated, or interrupted and repeated, counts once. What a
    buffer will need until it is finished is reserved: otherwise a full disk could never be emptied.

    Args:
      folder: the folder of the files.
      max_bytes: the maximum; None for the free space of the disk alone.
    """

    def __init__(self, folder: pathlib.Path, max_bytes: int | None) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._files = _Sizes()
        self._reserved = _Sizes()
        self._written = _Sizes()
        self._held = _Sizes()
        self._unchecked = 0

    @property
    def used(self) -> int:
        """Bytes of all files except open buffers; without a lock."""
        return sum(list(self._files.by_name.values()))

    @synchronized
    def reserve(self, name: str, size: int, written: int, *, from_disk: bool) -> None:
        """Reserve what an open buffer will need until it is finished, including its own file.

        Args:
          name: the name of the buffer.
          size: the bytes to reserve.
          written: how many of them are on the disk already.
          from_disk: whether the disk must have that room now.

        Raises:
          DiskQuotaError: it does not fit; nothing has changed.
        """
        more = size - self._reserved.by_name.get(name, 0) - self._held.by_name.get(name, 0)
        reserved = self._reserved.total + self._held.total
        if self._max_bytes is not None and self._files.total + reserved + more > self._max_bytes:
            raise DiskQuotaError(
                f"the record was not taken: max_disk_bytes={self._max_bytes} is reached "
                f"({format_size(self._files.total)} wait to be uploaded, {format_size(reserved)} are needed for open "
                "buffers and to finish files); see the stats for what fails, or allow more"
            )
        if from_disk:
            self._check_disk(max(0, more))
        self._held.set(name, None if from_disk else size)
        self._reserved.set(name, size if from_disk else None)
        self._written.set(name, written if from_disk else None)

    @synchronized
    def set(self, path: pathlib.Path, size: int | None) -> None:
        """Set the size of a file; None if it was removed."""
        self._files.set(path.name, size)

    @synchronized
    def set_reserved(self, name: str, size: int | None) -> None:
        """Set what a sealed buffer still needs; None if it is finished."""
        self._held.set(name, None)
        self._reserved.set(name, size)
        self._written.set(name, None)

    def room(self, name: str) -> int:
        """Return the free bytes of the disk that are not reserved for other buffers on it."""
        written = self._written.by_name
        reserved = list(self._reserved.by_name.items())
        others = [size - written.get(other, 0) for other, size in reserved if other != name]
        return self._free() - sum(others) - _BLOCKS * len(others)

    def _check_disk(self, more: int) -> None:
        """Ask the disk for its free space again when a part of it was used since."""
        self._unchecked -= more
        if self._unchecked >= 0:
            return
        needed = self._reserved.total - self._written.total
        room = self._free() - needed - len(self._reserved.by_name) * _BLOCKS - more
        if room < 0:
            raise DiskQuotaError(
                f"the record was not taken: the disk of {self._folder} is full, but for what is needed to finish files "
                f"({format_size(needed)}); see the stats for what fails, or free some space"
            )
        self._unchecked = room // 8

    def _free(self) -> int:
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            # only a forecast: the write itself raises what is wrong
            return sys.maxsize
        return disk.f_bavail * disk.f_frsize
