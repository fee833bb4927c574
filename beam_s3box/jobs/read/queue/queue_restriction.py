"""The work of a queue's reader as a runner splits and keeps it: which events it knows."""

from __future__ import annotations

from typing import Final, NamedTuple

from apache_beam.coders import BooleanCoder, BytesCoder, Coder, TupleCoder, TupleSequenceCoder, VarIntCoder
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker

from beam_s3box.jobs.read.queue.event_memory import EventMemory


class QueueWork(NamedTuple):
    """The restriction of the reader.

    Attributes:
      begun: when the job began, in microseconds since 1970.
      turn: how many bundles the reader has had; it goes back with the runner.
      memory: the events that it knows.
      is_done: whether all that is left belongs to the next turn.
    """

    begun: int
    turn: int
    memory: EventMemory
    is_done: bool = False


class QueueTracker(RestrictionTracker):
    """Lets messages be claimed, and answers only a split at once: what comes next is for the next turn."""

    def __init__(self, work: QueueWork) -> None:
        self._work = work

    def current_restriction(self) -> QueueWork:
        """Return the work."""
        return self._work

    def try_claim(self, memory: EventMemory | None) -> bool:
        """Return whether the messages with which this is known count; None says that nothing more is received."""
        if self._work.is_done:
            return False
        if memory is None:
            self._work = self._work._replace(is_done=True)
        else:
            self._work = self._work._replace(memory=memory)
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[QueueWork, QueueWork] | None:
        """Return what was received and what was not, if that is asked for; None for any other split."""
        work = self._work
        if fraction_of_remainder != 0 or work.is_done:
            return None
        self._work = work._replace(is_done=True)
        return self._work, work._replace(turn=work.turn + 1)

    def check_done(self) -> bool:
        """Return True where the reader ended or its rest belongs to the next turn.

        Raises:
          ValueError: neither is so.
        """
        if not self._work.is_done:
            raise ValueError("the queue was neither read to an end nor put off")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Return none: nobody knows how much will come."""
        return RestrictionProgress(fraction=0.0)

    def is_bounded(self) -> bool:
        """Return whether the work has an end, as what was received has."""
        return self._work.is_done


_BLOCKS: Final = TupleSequenceCoder(TupleCoder((VarIntCoder(), BytesCoder())))
_FIELDS: Final = TupleCoder((VarIntCoder(), VarIntCoder(), VarIntCoder(), VarIntCoder(), _BLOCKS, BooleanCoder()))


class QueueCoder(Coder):
    """Encodes the work."""

    def encode(self, value: QueueWork) -> bytes:
        """Return the work as bytes."""
        encoded: bytes = _FIELDS.encode((value.begun, value.turn, *value.memory, value.is_done))
        return encoded

    def decode(self, encoded: bytes) -> QueueWork:
        """Return the work that these bytes stand for."""
        begun, turn, at, looked, blocks, is_done = _FIELDS.decode(encoded)
        return QueueWork(begun, turn, EventMemory(at, looked, tuple(map(tuple, blocks))), is_done)

    def is_deterministic(self) -> bool:
        """Return True: equal work gives equal bytes."""
        return True
