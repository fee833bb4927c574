"""A disk in memory: it runs full, fails at any call, forgets at a power cut what was not synced, and others tidy it up.

It takes the place of `os` and `fcntl` in the modules of the streamer. One folder is enough: the streamer has no other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import stat
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

import greenlet

from tests.simulation.world import World

FOLDER: Final = "/simulated/buffers"
_CALL_SECONDS: Final = 0.0004
_DEVICE: Final = 7
_BLOCK: Final = 512


class _File:
    """An inode: what a process sees, and what the disk has."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.data = bytearray()
        self.durable = b""
        self.forgets = False
        """Whether a sync failed: what was not written then never will be, though later syncs succeed."""

    def sync(self) -> None:
        if not self.forgets:
            self.durable = bytes(self.data)


class _Handle:
    """An open file, or the open folder."""

    def __init__(self, file: _File | None, flags: int, process: Any) -> None:
        self.file = file
        self.flags = flags
        self.process = process


class SimDisk:
    """The file system of one folder.

    Args:
      world: decides what fails.
      capacity: bytes; None for enough.
      is_ordered: whether names reach the disk in the order of their changes, as with a journal of metadata.

    Attributes:
      removed: names and files that another program removed.
      on_removal: called before such a name is gone.
    """

    def __init__(self, world: World, capacity: int | None, *, is_ordered: bool) -> None:
        self.world = world
        self.capacity = capacity
        self._is_ordered = is_ordered
        self.names: dict[str, _File] = {}
        self.removed: list[tuple[str, _File]] = []
        self.on_removal: Callable[[], None] = lambda: None
        self._exists = False
        self._durable_names: dict[str, _File] = {}
        self._changes: list[tuple[str, str, Any]] = []
        self._handles: dict[int, _Handle] = {}
        self._numbers = 0
        self._locks: dict[int | None, int] = {}
        self._folder_number: int = 0
        self._fails_left = 0

    # ------------------------------------------------------------ what happens to it

    def end(self, process: Any) -> None:
        """Close what a process has open, as its end does."""
        for handle in [number for number, one in self._handles.items() if one.process is process]:
            self._forget(handle)

    def cut_power(self) -> None:
        """Keep what was synced, and of the rest what the choices say."""
        choices = self.world.choices
        names = dict(self._durable_names)
        kept = len(self._changes) - choices.below(len(self._changes) + 1)
        for number, (verb, name, value) in enumerate(self._changes):
            if number < kept if self._is_ordered else not choices.below(2):
                _apply(names, verb, name, value)
        for file in {id(file): file for file in names.values()}.values():
            file.data = bytearray(self._left_of(file))
            file.durable = bytes(file.data)
            file.forgets = False
        self.names, self._durable_names, self._changes = names, dict(names), []
        self._handles.clear()
        self._locks.clear()

    def _left_of(self, file: _File) -> bytes:
        choices, now = self.world.choices, bytes(file.data)
        how = choices.below(4)
        if how == 0 or now == file.durable:
            return now
        if how == 1 or not now.startswith(file.durable):
            return file.durable
        rest = len(now) - len(file.durable)
        torn = now[: len(file.durable) + choices.below(rest + 1)]
        return torn if how == 2 else torn.ljust(len(now), b"\0")

    def tidy_up(self) -> None:
        """Let another program remove a file, now and then."""
        wanted = [name for name in self.names if not name.endswith((".uploaded", ".listing", ".damaged", ".part"))]
        if wanted and self.world.fails("file removed by another program", 0.001):
            name = sorted(wanted)[self.world.choices.below(len(wanted))]
            self.removed.append((name, self.names[name]))
            self.on_removal()
            self._change("unlink", name)

    # ------------------------------------------------------------ calls

    def call(self, name: str, *, opens: bool = False, writes: bool = False) -> Callable[[], None]:
        """Begin a call: it may fail now, or when the function that is returned is called, behind its effect."""
        world = self.world
        if world.is_over:
            raise greenlet.GreenletExit
        _pause(world)
        self.tidy_up()
        if opens and world.fails("EMFILE", 0.004):
            raise _error(errno.EMFILE)
        if writes and world.fails("ENOSPC", 0.004):
            raise _error(errno.ENOSPC)
        if world.fails("EIO", 0.002):
            raise _error(errno.EIO)
        fails_after = not opens and world.fails("EIO after its effect", 0.002)

        def end() -> None:
            if fails_after:
                raise _error(errno.EIO)

        return end

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        end = self.call("open", opens=True, writes=bool(flags & os.O_CREAT) and self._name(path) not in self.names)
        name = self._name(path)
        self._check_folder()
        if not name:
            handle = _Handle(None, flags, self._process)
        else:
            if name not in self.names:
                if not flags & os.O_CREAT:
                    raise _error(errno.ENOENT)
                self._change("link", name, self._new_file())
            file = self.names[name]
            if flags & os.O_TRUNC:
                file.data, file.forgets = bytearray(), False
            handle = _Handle(file, flags, self._process)
        end()
        self._numbers += 1
        self._handles[1000 + self._numbers] = handle
        return 1000 + self._numbers

    def fdopen(self, handle: int, mode: str) -> io.BytesIO:
        file = self._file(handle)
        self._forget(handle)
        self.call("read")()
        return io.BytesIO(bytes(file.data))

    def write(self, handle: int, data: bytes) -> int:
        end = self.call("write", writes=True)
        file, size = self._file(handle), len(data)
        if size > 1 and self.world.fails("short write", 0.01):
            size = 1 + self.world.choices.below(size - 1)
        if self.capacity is not None:
            room = self.capacity - self.used
            if room <= 0:
                raise _error(errno.ENOSPC)
            size = min(size, room)
        file.data += data[:size]
        end()
        return size

    def pwrite(self, handle: int, data: bytes, offset: int) -> int:
        end = self.call("pwrite", writes=True)
        file = self._file(handle)
        file.data[offset : offset + len(data)] = data
        end()
        return len(data)

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        self.call("pread")()
        return bytes(self._file(handle).data[offset : offset + size])

    def fsync(self, handle: int) -> None:
        one = self._handles[handle]
        try:
            end = self.call("fsync", writes=one.file is not None)
            if self.world.fails("sync fails", 0.01):
                raise _error(errno.EIO)
        except OSError:
            if one.file is not None:
                one.file.forgets = True
            raise
        if one.file is not None:
            one.file.sync()
        else:
            self._durable_names, self._changes = dict(self.names), []
        end()

    def ftruncate(self, handle: int, size: int) -> None:
        end = self.call("ftruncate")
        file = self._file(handle)
        del file.data[size:]
        file.data += bytes(size - len(file.data))
        end()

    def close(self, handle: int) -> None:
        if self.world.is_over:
            raise greenlet.GreenletExit
        if handle not in self._handles:
            raise _error(errno.EBADF)
        self._forget(handle)
        self.call("close")()

    def stat(self, path: Any) -> os.stat_result:
        self.call("stat")()
        name = self._name(path)
        if name not in self.names:
            raise _error(errno.ENOENT)
        return self._stat(self.names[name])

    def fstat(self, handle: int) -> os.stat_result:
        self.call("fstat")()
        return self._stat(self._file(handle))

    def unlink(self, path: Any) -> None:
        end = self.call("unlink")
        if self._name(path) not in self.names:
            raise _error(errno.ENOENT)
        self._change("unlink", self._name(path))
        end()

    def rename(self, source: Any, target: Any) -> None:
        end = self.call("rename", writes=True)
        if self._name(source) not in self.names:
            raise _error(errno.ENOENT)
        self._change("rename", self._name(source), self._name(target))
        end()

    @contextlib.contextmanager
    def scandir(self, path: Any) -> Iterator[Iterator[Any]]:
        self.call("scandir", opens=True)()
        self._check_folder()
        yield iter([types.SimpleNamespace(name=name, is_file=_is_file) for name in list(self.names)])

    def makedirs(self, path: Any, exist_ok: bool = False) -> None:
        end = self.call("makedirs", writes=not self._exists)
        if not self._exists:
            self._exists, self._folder_number = True, self._folder_number + 1
        end()

    def statvfs(self, path: Any) -> Any:
        self.call("statvfs")()
        room = 1 << 30 if self.capacity is None else max(0, self.capacity - self.used)
        return types.SimpleNamespace(f_bavail=room // _BLOCK, f_frsize=_BLOCK)

    def flock(self, handle: int, operation: int) -> None:
        if self.world.is_over:
            raise greenlet.GreenletExit
        one = self._handles[handle]
        key = None if one.file is None else one.file.number
        if operation & fcntl.LOCK_UN:
            if self._locks.get(key) == handle:
                del self._locks[key]
            return
        self.call("flock")()
        if self._locks.setdefault(key, handle) != handle:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")

    # ------------------------------------------------------------ names

    def is_folder(self, path: Any) -> bool:
        self.call("stat")
        return self._exists

    def has_name(self, path: Any) -> bool:
        self.call("lstat")
        return self._name(path) in self.names

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return sum(len(file.data) for file in self.names.values())

    @property
    def _process(self) -> Any:
        actor = self.world._current
        return actor.process if actor is not None else None

    def _change(self, verb: str, name: str, value: Any = None) -> None:
        _apply(self.names, verb, name, value)
        self._changes.append((verb, name, value))

    def _check_folder(self) -> None:
        if not self._exists:
            raise _error(errno.ENOENT)

    def _new_file(self) -> _File:
        self._numbers += 1
        return _File(self._numbers)

    def _forget(self, handle: int) -> None:
        del self._handles[handle]
        for key in [key for key, holder in self._locks.items() if holder == handle]:
            del self._locks[key]

    def _file(self, handle: int) -> _File:
        file = self._handles[handle].file
        assert file is not None
        return file

    @staticmethod
    def _name(path: Any) -> str:
        text = str(path)
        assert text == FOLDER or text.startswith(FOLDER + "/"), text
        return text[len(FOLDER) + 1 :]

    @staticmethod
    def _stat(file: _File) -> os.stat_result:
        return os.stat_result((stat.S_IFREG | 0o600, file.number, _DEVICE, 1, 0, 0, len(file.data), 0, 0, 0))


def _pause(world: World) -> None:
    """Let others go on; a process may be killed here, as at a request."""
    actor = world._current
    if actor is not None and actor.process.can_freeze and world.fails("worker killed", 0.0008):
        actor.process.is_dead = True
    world.sleep(_CALL_SECONDS)


def _apply(names: dict[str, _File], verb: str, name: str, value: Any) -> None:
    if verb == "link":
        names[name] = value
    elif name in names and verb == "rename":
        names[value] = names.pop(name)
    elif verb == "unlink":
        names.pop(name, None)


def _is_file(*, follow_symlinks: bool) -> bool:
    return True


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
