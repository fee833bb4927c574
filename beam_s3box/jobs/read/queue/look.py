"""One look at a queue after another: which objects its messages name that are not known yet."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from beam_s3box.errors import RecordError, TransientSourceError
from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.event_times import arrival_of
from beam_s3box.jobs.read.queue.event_memory import MARK_BYTES, EventMemory, KnownEvents
from beam_s3box.jobs.read.queue.events import ObjectEvent, events_of
from beam_s3box.jobs.read.queue.messages import MOST_HIDDEN, InFlight, Message, Queue, receive
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.stores.s3_objects import quoted
from beam_s3box.system.globs import Glob

NamedObject: TypeAlias = tuple[str, int, int, bool, str]
"""URL and bytes of an object, -1 for not known; when it arrived, in microseconds since 1970; whether it counts for when
it was found, because nothing says when it arrived; and its ETag, empty if that is not known."""

RejectedMessage: TypeAlias = tuple[RejectedRow, int]
"""A message that is no event of S3, and when it was sent, in microseconds since 1970."""

_WAIT_SECONDS: Final = 1
"""So long a request waits for a message: a checkpoint of the runner has to wait as long."""

_ALL: Final = Glob.of("**")


class Look(NamedTuple):
    """What a look found.

    Attributes:
      receipts: of all messages.
      files: objects that were created, and were not known before.
      rejected: messages that are no events.
    """

    receipts: list[str]
    files: list[NamedObject]
    rejected: list[RejectedMessage]

    def reached(self, at: int) -> int | None:
        """Return the time that events have reached, given that of the look; None where these don't tell.

        Messages come in no order, but mostly oldest first: a queue that has some may have others of that time.
        """
        if not self.receipts:
            return at
        return min((arrived for _, _, arrived, _, _ in self.files), default=None)


class QueueReader:
    """Looks at a queue for the time of one bundle.

    Args:
      queue: gets the events.
      in_flight: keeps what was received.
      memory: what is known so far.
      begun: when the job began, in microseconds since 1970.
      own: URL below which objects are passed over; None for none.
      receive: receives messages; for tests.
    """

    def __init__(
        self,
        queue: Queue,
        in_flight: InFlight,
        memory: EventMemory,
        begun: int,
        own: str | None,
        receive: Callable[[Queue, int], list[Message]] = receive,
    ) -> None:
        self._queue = queue
        self._in_flight = in_flight
        self._known = KnownEvents(memory)
        self._begun = begun
        self._own = own
        self._receive = receive

    @property
    def memory(self) -> EventMemory:
        """What is known after the last look."""
        return self._known.memory

    def keep(self) -> None:
        """Keep hidden what was received, without receiving more."""
        with contextlib.suppress(TransientSourceError):
            # they come again at worst, and are known
            self._in_flight.keep()

    def look(self, now: int) -> Look | None:
        """Return what the queue has; None if it does not answer now.

        Args:
          now: in microseconds since 1970.

        Raises:
          SourceError: it will not answer.
        """
        self._known.look(now)
        try:
            self._in_flight.keep()
            if len(self._in_flight) >= MOST_HIDDEN:
                return None
            messages = self._receive(self._queue, _WAIT_SECONDS)
        except TransientSourceError:
            return None
        found = Look([message.receipt for message in messages], [], [])
        for message in messages:
            self._read(message, found)
        return found

    def _read(self, message: Message, found: Look) -> None:
        try:
            events = events_of(message.body)
        except RecordError as exc:
            if self._is_new(_mark_of(message)):
                detail = f"message {message.id} {exc}"
                row = RejectedRow(exc.reason, detail, self._queue.url, 1, message.body.encode("utf-8", "replace"))
                found.rejected.append((row, min(message.sent, self.memory.at)))
            return
        found.files.extend(self._named(events, message.sent))

    def _named(self, events: list[ObjectEvent], sent: int) -> Iterator[NamedObject]:
        for event in events:
            if _ALL.hides(event.key) or (self._own is not None and event.url.startswith(self._own)):
                continue
            if not self._is_new(event.mark):
                continue
            found = self.memory.at
            arrived = arrival_of((event.created or sent) / MICROS, found, self._begun)
            size = -1 if event.size is None else event.size
            etag = quoted(event.etag) if event.etag else ""
            yield event.url, size, found if arrived is None else arrived, arrived is None, etag

    def _is_new(self, mark: bytes) -> bool:
        return self._known.add([mark])[0]


def _mark_of(message: Message) -> bytes:
    return hashlib.blake2b(message.id.encode(), digest_size=MARK_BYTES, person=b"message").digest()
