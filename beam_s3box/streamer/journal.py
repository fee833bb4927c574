"""A buffer file that is being written: a header and one line a record, each in the file before `append` returns."""

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
"""What `durability="memory"` holds of one buffer before it writes."""

_COPIED_BYTES = 1 * MiB


def check_durability(durability: str) -> Durability:
    """Return the durability; raises ConfigurationError if it is none."""
    for known in get_args(Durability):
        if durability == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(f"durability={durability!r} must be one of {', '.join(get_args(Durability))}")


class _Held(NamedTuple):
    """A line that is not in the file yet, and how many bytes are held with it."""

    line: bytes
    total: int


class _State(NamedTuple):
    """What is written and what is held. It changes in one step, so that no interruption writes a record twice."""

    size: int
    records: int
    held: list[_Held]


class Journal:
    """Appends lines to one file. Its stream's lock guards every method but `sync`.

    Whatever fails or is interrupted may be called again: before anything is written the file is cut back to its last
    whole record, so that only the very end of a file can ever be torn. Making one does nothing to the disk.

    Args:
      path: the file; no other has its name.
      header: its first line, written together with the first record.
      durability: "memory" holds lines back, "os" writes each, "fsync" has `sync` called after each.
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
        """Bytes of the file."""
        return self._state.size

    @property
    def records(self) -> int:
        """How many it took."""
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
        """Return the journal of the same file that holds these lines; this one must not be used any more."""
        again = copy.copy(self)
        again._state = self._state._replace(held=[])
        for line in lines:
            again._hold(line)
        return again

    @property
    def must_flush(self) -> bool:
        """Whether the next line has those written that are held."""
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
          StreamerError: the disk failed; the record may be kept all the same.
        """
        if self._synced < end:
            self._sync()
        if self._synced < end:
            raise StreamerError(f"sync {self.path} failed, and the record may be kept all the same")

    def complete(self) -> None:
        """Write what is held back, and have it synced."""
        if self._handle is None and not self.records:
            return
        self._flush()
        self._truncate_torn_write()
        if self._syncs:
            self._sync_all()

    def is_at(self, path: pathlib.Path) -> bool:
        """Return whether the file of that name is the one that this writes to."""
        try:
            return self._handle is not None and os.path.samestat(os.stat(path), os.fstat(self._handle))
        except FileNotFoundError:
            return False

    def copy_to(self, path: pathlib.Path) -> None:
        """Write the file again under another name: what was removed can be read as long as it is open."""
        if self._handle is None:
            raise StreamerError(f"read {self.path} failed: it is closed")
        blocks: list[bytes] = []
        while block := os.pread(self._handle, _COPIED_BYTES, sum(map(len, blocks))):
            blocks.append(block)
        write_file(path, b"".join(blocks))

    @synchronized
    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    @synchronized
    def _sync_all(self) -> None:
        self._sync()

    def _sync(self) -> None:
        """Sync what is written; never again after a failure, which a system reports once and then forgets."""
        if self._sync_failed or self._handle is None:
            return
        reached = self._state.size
        try:
            os.fsync(self._handle)
        except OSError:
            # told to every thread whose record it would have been
            self._sync_failed = True
        else:
            self._synced = reached

    def _hold(self, line: bytes) -> None:
        self._state.held.append(_Held(line, self.held_bytes + len(line) + 1))

    def _flush(self) -> None:
        if self._state.held:
            self._put(self.held_lines)

    def _put(self, lines: Sequence[bytes]) -> None:
        """Write lines, which are then no longer held."""
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
        """Cut off what a write left that failed, or that a signal interrupted."""
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
            # not O_EXCL: an attempt that failed may have made it, and the name is this buffer's own
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
