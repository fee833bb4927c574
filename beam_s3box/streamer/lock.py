"""One streamer a folder: a lock file that dies with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import pathlib
import weakref

from beam_s3box.errors import FolderInUseError

_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """Holds a folder until it is released or the process ends.

    Raises:
      FolderInUseError: another streamer holds it; names its process.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            self.drop()
            raise FolderInUseError(
                f"files_path={str(path.parent)!r} is in use by the streamer of process {holder}: a folder has one "
                "streamer at a time; give this one a folder of its own, or shut the other one down"
            ) from exc
        except BaseException:
            self.drop()
            raise
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode("ascii"), 0)
        _HELD.add(self)

    def release(self) -> None:
        """Let the next streamer have the folder; twice is harmless."""
        if self._handle is not None:
            # said aloud: a process that was forked from this one may still share the handle
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.drop()

    def drop(self) -> None:
        """Close this process's handle; the lock goes with the last one."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _drop_all() -> None:
    # a forked child would keep the folder locked after its parent is gone
    for lock in list(_HELD):
        lock.drop()


os.register_at_fork(after_in_child=_drop_all)
