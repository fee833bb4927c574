"""A buffer file that is being written: a header, and one line per record, written before `append` returns."""

from __future__ import annotations

import copy
import os
import pathlib
import threading
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from beam_s3box.errors import ConfigurationError, StreamerError
from beam_s3box.sizes import MiB
from beam_s3box.streamer.files import write_all, write_file
from beam_s3box.streamer.guard import synchronized
from beam_s3box.system.local_files import sync_folder

Durability: TypeAlias = Literal["memory", "os", "fsync"]

HELD_BYTES = 1 * MiB
"""Bytes of one buffer that `durability="memory"` holds in memory before it writes them."""

_COPIED_BYTES = 1 * MiB


def check_durability(durability: str) -> Durability:
    """Return the durability; raise ConfigurationError if it is not one."""
    for known in get_args(Durability):
        if durability == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(f"durability={durability!r} must be one of {', '.join(get_args(Durability))}")


class _Held(NamedTuple):
    """A line that is not in the file yet, and the bytes of all held lines up to this one."""

    line: bytes
    total: int


class _State(NamedTuple):
    """What is written and what is held. It is replaced in one step, so that no interruption writes a record twice."""

    size: int
    records: int
    held: list[_Held]


class Journal:
    """Appends lines to one file. The lock of its stream guards every method except `sync`.

    Whatever fails or is interrupted may be called again: before anything is written, the file is truncated to its last
    complete record, so that only the end of a file can be torn. The constructor does no I/O.

    Args:
      path: the path of the file, which no other buffer has.
      header: its first line, written together with the first record.
      durability: "memory" holds lines in memory, "os" writes each line, with "fsync" the caller syncs after each.
    """

    def __init__(self, path: pathlib.Path, header: bytes, durability: Durability) -> None:
        self.path = path
        self._header = header + b"\n"
        self._syncs = durability == "fsync"
        self._holds = durability == "memory"
        self._state = _State(0, 0, [])
        self._dirty = False
        self._guard = threading.Lock()
        self._synced = 0
        self._sync_failed = False
        self._handle: int | None = None

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self._state.size

    @property
    def records(self) -> int:
        """The number of records, written and held."""
        return self._state.records + len(self._state.held)

    @property
    def held_bytes(self) -> int:
        """Bytes of the lines that are not in the file yet."""
        held = self._state.held
        return held[-1].total if held else 0

    @property
    def held_lines(self) -> list[bytes]:
        """The lines that are not in the file yet."""
        return [held.line for held in self._state.held]

    @property
    def data_bytes(self) -> int:
        """Bytes of all lines."""
        return max(0, self._state.size - len(self._header)) + self.held_bytes

    def with_held(self, lines: Sequence[bytes]) -> Journal:
        """Return a journal for the same file that holds these lines; this one must not be used any more."""
        again = copy.copy(self)
        again._state = self._state._replace(held=[])
        for line in lines:
            again._hold(line)
        return again

    @property
    def must_flush(self) -> bool:
        """Whether the held lines are written before the next one."""
        return self._holds and self.held_bytes >= HELD_BYTES

    def write(self, line: bytes) -> None:
        """Add a record; if this raises, the record is not in the file.

        Raises:
          StreamerError: the file can't be written.
        """
        if not self._holds:
            self._put([line])
            return
        self._open()
        if self.must_flush:
            self._flush()
        self._hold(line)

    @synchronized
    def sync(self, end: int) -> None:
        """Wait until the first `end` bytes are on the disk; threads that wait together share one sync.

        Raises:
          StreamerError: the disk failed; the record may be stored nevertheless.
        """
        if self._synced < end:
            self._sync()
        if self._synced < end:
            raise StreamerError(f"sync {self.path} failed; the record may be stored nevertheless")

    def complete(self) -> None:
        """Write the held lines, and sync them."""
        if self._handle is None and not self.records:
            return
        self._flush()
        self._truncate_torn_write()
        if self._syncs:
            self._sync_all()

    def is_at(self, path: pathlib.Path) -> bool:
        """Return whether the file at this path is the one that this journal writes to."""
        try:
            return self._handle is not None and os.path.samestat(os.stat(path), os.fstat(self._handle))
        except FileNotFoundError:
            return False

    def copy_to(self, path: pathlib.Path) -> None:
        """Write the file again at another path: a removed file can be read as long as it is open."""
        if self._handle is None:
            raise StreamerError(f"read {self.path} failed: it is closed")
        blocks: list[bytes] = []
        while block := os.pread(self._handle, _COPIED_BYTES, sum(map(len, blocks))):
            blocks.append(block)
        write_file(path, b"".join(blocks))

    @synchronized
    def close(self) -> None:
        """Close the file; may be called again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    @synchronized
    def _sync_all(self) -> None:
        self._sync()

    def _sync(self) -> None:
        """Sync what is written; never again after a failure, which the system reports only once."""
        if self._sync_failed or self._handle is None:
            return
        reached = self._state.size
        try:
            # until it has succeeded: a signal handler may raise before any line that would note its failure
            self._sync_failed = True
            os.fsync(self._handle)
            self._synced, self._sync_failed = reached, False
        except OSError:
            # raised in every thread whose record was to be synced
            return
        except BaseException:
            # of a signal handler, not of the disk: the next sync can be believed
            self._sync_failed = False
            raise

    def _hold(self, line: bytes) -> None:
        self._state.held.append(_Held(line, self.held_bytes + len(line) + 1))

    def _flush(self) -> None:
        if self._state.held:
            self._put(self.held_lines)

    def _put(self, lines: Sequence[bytes]) -> None:
        """Write lines, which are no longer held then."""
        handle = self._open()
        if self._dirty:
            self._truncate_torn_write()
        size, records, _ = self._state
        data = b"\n".join(lines) + b"\n"
        if not size:
            data = self._header + data
        self._dirty = True
        try:
            write_all(handle, data)
        except OSError as exc:
            self._truncate_torn_write()
            raise StreamerError(f"write {self.path} failed, the record was not taken: {exc.strerror}") from exc
        self._state = _State(size + len(data), records + len(lines), [])
        self._dirty = False

    def _truncate_torn_write(self) -> None:
        """Truncate the file after a write that failed or was interrupted by a signal."""
        if self._dirty and self._handle is not None:
            try:
                os.ftruncate(self._handle, self._state.size)
            except OSError as exc:
                raise StreamerError(f"write {self.path} failed, and can't be undone yet: {exc.strerror}") from exc
            self._dirty = False

    def _open(self) -> int:
        if self._handle is not None:
            return self._handle
        handle = None
        try:
            # not O_EXCL: a failed attempt may have created it, and no other buffer has its name
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            if self._syncs:
                sync_folder(self.path.parent)
        except BaseException as exc:
            if handle is not None:
                os.close(handle)
            if not isinstance(exc, OSError):
                raise
            raise StreamerError(
                f"create {self.path} failed, the record was not taken: {exc.strerror}; each stream with buffered "
                "records keeps one file open"
            ) from exc
        self._dirty = True
        self._handle = handle
        return handle
