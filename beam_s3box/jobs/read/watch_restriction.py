"""The work of a watch as a runner splits and keeps it: what is remembered, or one look that is done."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from apache_beam.coders import BooleanCoder, BytesCoder, Coder, ListCoder, StrUtf8Coder, TupleCoder, VarIntCoder
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker

from beam_s3box.jobs.read.file_memory import FileMemory

SeenFile: TypeAlias = tuple[str, int, int, bool]
"""Path of a file, its bytes when it was found, and when it arrived, in microseconds since 1970; and whether it counts
for when it was found, because the file system has no usable time."""


class WatchState(NamedTuple):
    """All looks to come.

    Attributes:
      begun: when the first was due, in microseconds since 1970.
      memory: what earlier looks found.
    """

    begun: int
    memory: FileMemory


class Round(NamedTuple):
    """One look that is done, whose files a runner that tries it again emits again, without looking.

    Attributes:
      files: that were new.
      at: when the look was, in microseconds since 1970.
      rest: all looks after it; None where a runner keeps it apart.
    """

    files: tuple[SeenFile, ...]
    at: int
    rest: WatchState | None = None


_NOTHING: Final = Round((), 0)


class RoundTracker(RestrictionTracker):
    """Lets one look be done, and splits it from those to come."""

    def __init__(self, restriction: WatchState | Round) -> None:
        self._restriction = restriction
        self._claimed: Round | None = None
        self._split = False

    def current_restriction(self) -> WatchState | Round:
        """Return the work."""
        return self._restriction

    def try_claim(self, position: Round) -> bool:
        """Return whether this look, which is done, counts; a runner that took the work away looks elsewhere."""
        if self._split or self._claimed is not None:
            return False
        self._claimed = position
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[WatchState | Round, WatchState | Round]:
        """Return the look that is done, or nothing if none is, and the rest; no look is split."""
        self._split = True
        if self._claimed is None:
            done, rest = _NOTHING, self._restriction
        else:
            done, rest = Round(self._claimed.files, self._claimed.at), self._claimed.rest or _NOTHING
            self._claimed = done
        self._restriction = done
        return done, rest

    def check_done(self) -> bool:
        """Return True after a look.

        Raises:
          ValueError: there was none, and the work is not split off either.
        """
        if self._claimed is None and not self._split:
            raise ValueError("a watch ended without a look")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Return all for a look that is done, else nothing."""
        done = float(self._claimed is not None or self._split)
        return RestrictionProgress(completed=done, remaining=1 - done)

    def is_bounded(self) -> bool:
        """Return whether the work is bounded: looks go on, what one found does not."""
        return isinstance(self._restriction, Round)


_FILES: Final = ListCoder(TupleCoder((StrUtf8Coder(), VarIntCoder(), VarIntCoder(), BooleanCoder())))
_FIELDS: Final = TupleCoder((VarIntCoder(), _FILES, VarIntCoder(), VarIntCoder(), BytesCoder(), BytesCoder()))
_LOOKS, _DONE = 0, 1


class WatchCoder(Coder):
    """Encodes the work; a Round without its rest, which a runner keeps itself."""

    def encode(self, value: WatchState | Round) -> bytes:
        """Return the work as bytes."""
        if isinstance(value, Round):
            fields: Any = (_DONE, list(value.files), value.at, 0, b"", b"")
        else:
            fields = (_LOOKS, [], value.begun, *value.memory)
        encoded: bytes = _FIELDS.encode(fields)
        return encoded

    def decode(self, encoded: bytes) -> WatchState | Round:
        """Return the work that these bytes stand for."""
        kind, files, begun, *memory = _FIELDS.decode(encoded)
        return Round(tuple(files), begun) if kind == _DONE else WatchState(begun, FileMemory(*memory))

    def is_deterministic(self) -> bool:
        """Return True: equal work gives equal bytes."""
        return True
