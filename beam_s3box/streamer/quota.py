"""How many bytes a streamer may keep on disk: its own maximum, and what the disk has left."""

from __future__ import annotations

import os
import pathlib
import sys
import threading

from beam_s3box.errors import DiskQuotaError
from beam_s3box.sizes import format_size
from beam_s3box.streamer.guard import synchronized

_BLOCKS = 8 * 1024
"""Bytes that a file and its description may take beyond their size, as a disk hands out whole blocks."""


class DiskQuota:
    """Knows the size of each file and what each buffer still needs; refuses records over a maximum.

    Sizes are set and not added to, so that a step that is repeated, or interrupted and repeated, counts once. What a
    buffer will need until it is finished counts as taken: else a full disk could never be emptied.

    Args:
      folder: where the files are.
      max_bytes: None for no maximum but the disk's.
    """

    def __init__(self, folder: pathlib.Path, max_bytes: int | None) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._promised: dict[str, int] = {}
        self._used = 0
        self._reserved = 0
        self._exact = True
        self._unchecked = 0

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return max(0, sum(list(self._sizes.values())))

    def take(self, name: str, size: int, promised: int, *, from_disk: bool) -> None:
        """Count what an open buffer is about to be.

        Args:
          name: of the buffer.
          size: of its file.
          promised: bytes that it needs besides, until it is finished.
          from_disk: whether the disk must have that room now.

        Raises:
          DiskQuotaError: it does not fit; nothing has changed.
        """
        self._take(name, f"{name}.open", size, promised, from_disk)

    def set(self, path: pathlib.Path, size: int | None) -> None:
        """Note the size of a file; None if it is gone."""
        self._set(self._sizes, path.name, size)

    def promise(self, name: str, size: int | None) -> None:
        """Note what a buffer still needs; None if it is finished."""
        self._set(self._promised, name, size)

    def room(self, name: str) -> int:
        """Return the bytes of the disk that no other buffer needs which has a file already."""
        promised = [(other, size) for other, size in list(self._promised.items()) if other != name]
        begun = [size for other, size in promised if {f"{other}.open", f"{other}.sealed"} & self._sizes.keys()]
        return self._free() - sum(size + _BLOCKS for size in begun)

    @synchronized
    def _take(self, name: str, file: str, size: int, promised: int, from_disk: bool) -> None:
        self._recount()
        more = size + promised - self._sizes.get(file, 0) - self._promised.get(name, 0)
        total = self._used + self._reserved + more
        if self._max_bytes is not None and total > self._max_bytes:
            raise DiskQuotaError(
                f"the record was not taken: max_disk_bytes={self._max_bytes} is reached ({format_size(self._used)} "
                f"wait to be uploaded, {format_size(self._reserved)} are needed to finish files); see the stats for "
                "what fails, or allow more"
            )
        if from_disk:
            self._check_disk(max(0, more))
        self._put(self._sizes, file, size)
        self._put(self._promised, name, promised)

    def _check_disk(self, more: int) -> None:
        """Ask the disk for its room again when a part of what it had is taken."""
        self._unchecked -= more
        if self._unchecked >= 0:
            return
        room = self._free() - self._reserved - len(self._promised) * _BLOCKS - more
        if room < 0:
            raise DiskQuotaError(
                f"the record was not taken: the disk of {self._folder} is full but for what is needed to finish files "
                f"({format_size(self._reserved)}); see the stats for what fails, or free some room"
            )
        self._unchecked = room // 8

    def _free(self) -> int:
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            # only a forecast: the write itself tells what is wrong
            return sys.maxsize
        return disk.f_bavail * disk.f_frsize

    @synchronized
    def _set(self, sizes: dict[str, int], name: str, size: int | None) -> None:
        self._recount()
        self._put(sizes, name, size)

    def _put(self, sizes: dict[str, int], name: str, size: int | None) -> None:
        # whoever interrupts this leaves sums that the next call makes again
        self._exact = False
        more = (size or 0) - sizes.get(name, 0)
        if size:
            sizes[name] = size
        else:
            sizes.pop(name, None)
        if sizes is self._sizes:
            self._used += more
        else:
            self._reserved += more
        self._exact = True

    def _recount(self) -> None:
        if not self._exact:
            self._used = sum(self._sizes.values())
            self._reserved = sum(self._promised.values())
            self._exact = True
