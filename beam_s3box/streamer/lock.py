"""One streamer per folder: a lock that is released when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import re
import stat
import weakref

from beam_s3box.errors import ConfigurationError, FolderInUseError

_READ_BYTES = 128
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}", re.ASCII)
_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """Locks a folder until it is released or the process ends.

    The folder itself is locked, because clean-up programs may remove the file `lock`, which holds the process id and
    the streamer's run id.

    Args:
      folder: the folder, which must exist when it is locked.
      run_id: of the streamer.

    Attributes:
      run_id: of the streamer.
      before: the run id of the streamer that had the folder before, None if that is not known.
    """

    def __init__(self, folder: pathlib.Path, run_id: str = "") -> None:
        self._folder = folder
        self.run_id = run_id
        self.before: str | None = None
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
        if os.path.islink(path):
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
            holder = self._read().partition("\n")[0].strip() or "unknown"
            raise FolderInUseError(
                f"files_path={str(folder)!r} is in use by the streamer of process {holder}: a folder has one "
                "streamer at a time; give this one another folder, or shut down the other one"
            ) from exc
        before = self._read().partition("\n")[2].strip()
        if before != self.run_id and _RUN_ID.fullmatch(before):
            self.before = before
        os.ftruncate(self._handles[0], 0)
        os.pwrite(self._handles[0], f"{os.getpid()}\n{self.run_id}\n".encode("ascii"), 0)

    def _read(self) -> str:
        return os.pread(self._handles[0], _READ_BYTES, 0).decode("ascii", "replace")

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
