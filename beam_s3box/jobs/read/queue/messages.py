"""The queue: its messages, and what keeps them hidden from others until they are deleted."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from beam_s3box.errors import SourceError, TransientSourceError
from beam_s3box.sources.aws import AwsSettings, called, client_of

_T = TypeVar("_T")

MOST_AT_ONCE: Final = 10
"""Messages of one request. Source: `ReceiveMessage`."""

MOST_HIDDEN: Final = 50_000
"""Messages that wait for their bundles to be committed; SQS allows 120,000 a queue."""

LONGEST_SECONDS: Final = 1_800.0
"""So long a message is kept hidden at most. If nothing was committed by then, nothing will be: it comes again, while
its events are still remembered."""

_NO_QUEUE: Final = "create the queue, or correct --sqs_queue, --sqs_region or --sqs_endpoint_url"
_ADVICE: Final = dict.fromkeys(("QueueDoesNotExist", "NonExistentQueue"), _NO_QUEUE)


class Queue(NamedTuple):
    """A queue of SQS.

    Attributes:
      url: of the queue.
      settings: how SQS is reached.
      visibility: seconds for which a message that was received is hidden from others.
    """

    url: str
    settings: AwsSettings = AwsSettings()
    visibility: int = 300

    def send(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a request and return its response.

        Raises:
          SourceError: it failed.
        """
        client = client_of("sqs", self.settings)
        call = functools.partial(getattr(client, operation), QueueUrl=self.url, **parameters)
        return called(call, f"{operation} {self.url}", _ADVICE)


class Message(NamedTuple):
    """A message that was received.

    Attributes:
      id: names it in messages to people.
      receipt: what it is deleted by.
      body: its text.
      sent: when it was sent, in microseconds since 1970.
    """

    id: str
    receipt: str
    body: str
    sent: int


def receive(queue: Queue, seconds: int) -> list[Message]:
    """Return some messages, at most ten, after waiting so long for the first one.

    Raises:
      SourceError: the queue can't be read.
    """
    answer = queue.send(
        "receive_message",
        MaxNumberOfMessages=MOST_AT_ONCE,
        WaitTimeSeconds=seconds,
        VisibilityTimeout=queue.visibility,
        AttributeNames=["SentTimestamp"],
    )
    return [
        Message(one["MessageId"], one["ReceiptHandle"], one["Body"], int(one["Attributes"]["SentTimestamp"]) * 1_000)
        for one in answer.get("Messages", [])
    ]


class _Hidden(NamedTuple):
    turn: int
    received: float
    until: float


Receipts: TypeAlias = Sequence[str]


class InFlight:
    """Messages of this process that were received, and are deleted when their bundle is committed.

    Safe for use by many threads: a runner says on its own thread that a bundle is committed.

    Args:
      queue: which they are of.
      clock: monotonic seconds.
    """

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._lock = threading.Lock()
        self._hidden: dict[str, _Hidden] = {}
        self._committed: dict[str, None] = {}
        self._failure: SourceError | None = None
        self._ending_since: float | None = None

    def __len__(self) -> int:
        return len(self._hidden) + len(self._committed)

    def begin(self, turn: int) -> None:
        """Let the messages go that a turn which is done again, or one after it, received: its bundle was not committed.

        Raises:
          SourceError: messages can't be deleted, for which there is no use in going on.
        """
        with self._lock:
            stale = [receipt for receipt, one in self._hidden.items() if one.turn >= turn]
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self.release(stale)

    @property
    def is_ending(self) -> bool:
        """Whether nothing more is received."""
        return self._ending_since is not None

    def has_ended(self, seconds: float) -> bool:
        """Return whether all is deleted, or that has been waited for so long; from now on nothing more is received."""
        if self._ending_since is None:
            self._ending_since = self._clock()
        return not len(self) or self._clock() - self._ending_since > seconds

    def add(self, receipts: Receipts, turn: int) -> None:
        """Keep messages hidden from now on."""
        now = self._clock()
        one = _Hidden(turn, now, now + self._queue.visibility)
        with self._lock:
            self._hidden.update(dict.fromkeys(receipts, one))

    def keep(self) -> None:
        """Hide messages longer that would come back soon, and delete those whose deletion failed before."""
        now, visibility = self._clock(), self._queue.visibility
        with self._lock:
            for receipt in [key for key, one in self._hidden.items() if now - one.received > LONGEST_SECONDS]:
                del self._hidden[receipt]
            due = [receipt for receipt, one in self._hidden.items() if one.until - now < visibility * 2 / 3]
            committed = list(self._committed)
        self._hide(due, visibility)
        with self._lock:
            for receipt in due:
                if receipt in self._hidden:
                    self._hidden[receipt] = self._hidden[receipt]._replace(until=now + visibility)
        self._delete(committed)

    def release(self, receipts: Receipts) -> None:
        """Let whoever asks next receive messages at once."""
        with self._lock:
            for receipt in receipts:
                self._hidden.pop(receipt, None)
        with contextlib.suppress(TransientSourceError):
            # else they come later, when their time is over
            self._hide(receipts, 0)

    def commit(self, receipts: Receipts) -> None:
        """Delete messages; what fails is tried again by `keep`."""
        with self._lock:
            for receipt in receipts:
                self._hidden.pop(receipt, None)
                self._committed[receipt] = None
        try:
            self._delete(receipts)
        except TransientSourceError:
            return  # `keep` deletes them; or they come again, and are known
        except SourceError as exc:
            # a runner only logs what is raised here: `begin` raises it where it counts
            self._failure = exc

    def _delete(self, receipts: Receipts) -> None:
        for some in _batches(receipts):
            entries = [{"Id": str(at), "ReceiptHandle": receipt} for at, receipt in enumerate(some)]
            answer = self._queue.send("delete_message_batch", Entries=entries)
            # a receipt that is no longer good is no reason to try again
            again = {some[int(one["Id"])] for one in answer.get("Failed", []) if not one.get("SenderFault")}
            with self._lock:
                for receipt in set(some) - again:
                    self._committed.pop(receipt, None)

    def _hide(self, receipts: Receipts, seconds: int) -> None:
        for some in _batches(receipts):
            entries = [
                {"Id": str(at), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
                for at, receipt in enumerate(some)
            ]
            # of a message that came back meanwhile the receipt is no longer good: it is received again, and known
            self._queue.send("change_message_visibility_batch", Entries=entries)


@functools.cache
def in_flight(queue: Queue, token: str) -> InFlight:
    """Return what this process has received from a queue, by the step of this token."""
    return InFlight(queue)


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while some := list(itertools.islice(rest, MOST_AT_ONCE)):
        yield some
