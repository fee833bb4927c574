"""One streamer per folder: a lock that is released when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import stat
import weakref

from beam_s3box.errors import ConfigurationError, FolderInUseError

_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """Locks a folder until it is released or the process ends.

    The folder itself is locked, because clean-up programs may remove the file `lock`, which holds the process id.

    Args:
      folder: the folder, which must exist when it is locked.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._handles: list[int] = []
        # before anything is locked: a process that is forked from now on closes its copies
        _HELD.add(self)

    @property
    def held(self) -> bool:
        """Whether the folder is locked."""
        return bool(self._handles)

    def acquire(self) -> None:
        """Lock the folder.

        Raises:
          FolderInUseError: another streamer has locked it; names its process.
          ConfigurationError: its file `lock` is a link, or not a file.
          OSError: the folder does not exist, or can't be used.
        """
        try:
            self._acquire(self._folder)
        except BaseException:
            self.close()
            raise

    def _acquire(self, folder: pathlib.Path) -> None:
        path = folder / "lock"
        if path.is_symlink():
            raise _no_file(folder)
        self._handles.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600))
        file = os.fstat(self._handles[0])
        if not stat.S_ISREG(file.st_mode) or file.st_nlink > 1:
            raise _no_file(folder)
        self._handles.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        try:
            for handle in self._handles:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(self._handles[0], 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise FolderInUseError(
                f"files_path={str(folder)!r} is in use by the streamer of process {holder}: a folder has one "
                "streamer at a time; give this one another folder, or shut down the other one"
            ) from exc
        os.ftruncate(self._handles[0], 0)
        os.pwrite(self._handles[0], f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Unlock the folder for the next streamer; may be called again."""
        for handle in self._handles:
            # explicitly: a process that was forked from this one may still share the handle
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)
        self.close()

    def close(self) -> None:
        """Close the handles of this process; closing the last one releases the lock."""
        handles, self._handles = self._handles, []
        for handle in handles:
            # there is nothing to do about a handle that can't be closed
            with contextlib.suppress(OSError):
                os.close(handle)


def _no_file(folder: pathlib.Path) -> ConfigurationError:
    return ConfigurationError(f"files_path={str(folder)!r} has a 'lock' that is a link or not a file: remove it")


def _close_all() -> None:
    # a forked child would keep the folder locked after its parent has ended
    for lock in list(_HELD):
        lock.close()


os.register_at_fork(after_in_child=_close_all)
