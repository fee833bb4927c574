"""A buffer file that is being written: a header and one line a record, each in the file before `append` returns."""

from __future__ import annotations

import os
import pathlib
import threading
from typing import Literal, TypeAlias, get_args

from beam_s3box.errors import ConfigurationError, StreamerError
from beam_s3box.sizes import MiB

Durability: TypeAlias = Literal["memory", "os", "fsync"]

_HELD_BYTES = 1 * MiB
"""What `durability="memory"` holds of one buffer before it writes."""


def check_durability(durability: str) -> Durability:
    """Return the durability; raises ConfigurationError if it is none."""
    for known in get_args(Durability):
        if durability == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(f"durability={durability!r} must be one of {', '.join(get_args(Durability))}")


class Journal:
    """Appends lines to one file. Its stream's lock guards every method but `sync`.

    After a failed or interrupted write the file is cut back to its last whole record before anything else is written,
    so that only the very end of a file can ever be torn.

    Args:
      path: the file, not there yet.
      header: its first line, written together with the first record.
      durability: "memory" holds lines back, "os" writes each, "fsync" has `sync` called after each.
    """

    def __init__(self, path: pathlib.Path, header: bytes, durability: Durability) -> None:
        self.path = path
        self.size = 0
        self._header = header
        self._syncs = durability == "fsync"
        self._held: list[bytes] | None = [] if durability == "memory" else None
        self._held_bytes = 0
        self._dirty = False
        self._sync_lock = threading.Lock()
        self._synced = 0
        self._sync_failed = False
        self._handle: int | None = _create(path)
        if self._syncs:
            try:
                sync_folder(path.parent)
            except BaseException:
                os.close(self._handle)
                path.unlink(missing_ok=True)
                raise

    def write(self, line: bytes) -> None:
        """Add a record; if this raises, the record is not in the file.

        Raises:
          StreamerError: the file can't be written.
        """
        if self._held is None:
            self._put(line + b"\n")
            return
        if self._held_bytes >= _HELD_BYTES:
            self._spill()
        self._held.append(line)
        self._held_bytes += len(line) + 1

    def sync(self, end: int) -> None:
        """Wait until the first `end` bytes are on the disk; threads that wait together share one sync.

        Raises:
          StreamerError: the disk failed; the record may be kept all the same.
        """
        with self._sync_lock:
            if self._synced < end:
                self._sync()
            if self._synced < end:
                raise StreamerError(f"sync {self.path} failed, and the record may be kept all the same")

    def close(self) -> None:
        """Write what is held back and close the file; harmless when it is closed."""
        if self._handle is None:
            return
        self._spill()
        self._mend()
        with self._sync_lock:
            if self._syncs:
                self._sync()
            handle, self._handle = self._handle, None
            os.close(handle)

    def _sync(self) -> None:
        """Sync what is written; never again after a failure, which a system reports once and then forgets."""
        if self._sync_failed or self._handle is None:
            return
        reached = self.size
        try:
            os.fsync(self._handle)
        except OSError:
            # told to every thread whose record it would have been
            self._sync_failed = True
        else:
            self._synced = reached

    def _spill(self) -> None:
        if self._held:
            self._put(b"\n".join(self._held) + b"\n")
            self._held.clear()
            self._held_bytes = 0

    def _put(self, data: bytes) -> None:
        if self._dirty or self._handle is None:
            self._mend()
        if not self.size:
            data = self._header + b"\n" + data
        self._dirty = True
        try:
            written = os.write(self._handle, data)  # type: ignore[arg-type]
            while written < len(data):
                written += os.write(self._handle, data[written:])  # type: ignore[arg-type]
        except OSError as exc:
            self._mend()
            raise StreamerError(f"write {self.path} failed, the record was not taken: {exc.strerror}") from exc
        self.size += len(data)
        self._dirty = False

    def _mend(self) -> None:
        """Cut off what a write left that failed, or that a signal interrupted."""
        if self._handle is None:
            raise StreamerError(f"write {self.path} failed: it is closed")
        if self._dirty:
            try:
                os.ftruncate(self._handle, self.size)
            except OSError as exc:
                raise StreamerError(f"write {self.path} failed, and can't be undone yet: {exc.strerror}") from exc
            self._dirty = False


def sync_folder(folder: pathlib.Path) -> None:
    """Make the names in a folder as durable as its files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: pathlib.Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    except OSError as exc:
        raise StreamerError(
            f"create {path} failed, the record was not taken: {exc.strerror}; each stream with buffered records keeps "
            "one file open"
        ) from exc
