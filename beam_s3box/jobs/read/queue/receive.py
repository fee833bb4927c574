"""ReceiveObjects: objects are named by what S3 tells of them, each once, and are not listed."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.found_notes import FoundNotes
from beam_s3box.jobs.read.queue.event_memory import EventMemory
from beam_s3box.jobs.read.queue.look import Look, QueueReader, RejectedMessage
from beam_s3box.jobs.read.queue.messages import Queue, in_flight
from beam_s3box.jobs.read.queue.queue_restriction import QueueCoder, QueueTracker, QueueWork
from beam_s3box.jobs.read.watch import FoundFile, NoteArrivals, advance
from beam_s3box.shards.runs import new_token
from beam_s3box.sources.stop import Notices

_FILES: Final = "files"
_REJECTED: Final = "rejected"

_ON_THE_WAY: Final = 5 * MICROS
"""S3 sends most events within so long."""

_BUSY_SECONDS: Final = 10.0
"""So long after its time a job still waits for a queue to be empty; then it leaves the rest there."""


_SETTLE_SECONDS: Final = 1.0
_TOKEN_CHARACTERS: Final = 12


class Receiving(NamedTuple):
    """How to receive, in seconds.

    Attributes:
      poll_interval: between two looks at a queue that was empty.
      stop_after: how long to receive; None for ever.
      bundle: after which a busy reader lets the runner commit; Beam's runners for Flink before 2.76 keep 6 KB of each
        such step for ever.
      settle: how long to wait in the end until the runner has committed what was received; what is not would come
        again, to another run.
    """

    poll_interval: float = 10.0
    stop_after: float | None = None
    bundle: float = 6.0
    settle: float = 30.0


class ReceivedObjects(NamedTuple):
    """What a queue tells.

    Attributes:
      files: objects that were created.
      rejected: messages that are no events of S3.
    """

    files: beam.PCollection[FoundFile]
    rejected: beam.PCollection[RejectedMessage]


class ReceiveObjects(beam.PTransform):
    """Receives events of S3 from a queue, and names the objects that were created.

    *Guarantees*: a message is deleted when the runner has committed what it led to, and kept hidden until then. An
    event that is delivered again, as SQS may do at any time and does after a failure, is known for an hour, and named
    once. One reader does all this; the objects are read by many.

    *Windows*: the global window. A file is stamped with when it arrived, less the delay. The watermark follows the
    events as long as there are some, and the clock when the queue is empty.

    Args:
      queue: gets the events.
      receiving: how.
      delay: seconds that the watermark stays behind.
      notes: keep when a file was found that counts for that.
      own: URL below which objects are passed over, because this job writes them.
      notices: of the run; None where nobody can stop it but the runner.
      clock: seconds since 1970.
    """

    def __init__(
        self,
        queue: Queue,
        receiving: Receiving,
        delay: float,
        notes: FoundNotes | None = None,
        own: str | None = None,
        notices: Notices | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._receive = _Receive(queue, receiving, delay, own and f"{own.rstrip('/')}/", notices, clock)
        self._notes = notes

    def expand(self, begin: beam.pvalue.PBegin) -> ReceivedObjects:
        """Return the objects."""
        receive = beam.ParDo(self._receive).with_outputs(_REJECTED, main=_FILES)
        outputs = begin | "Begin" >> beam.Impulse() | "Receive" >> receive
        note = beam.ParDo(NoteArrivals(self._notes)).with_output_types(FoundFile)
        return ReceivedObjects(outputs[_FILES] | "FoundFiles" >> note, outputs[_REJECTED])


class _Receive(beam.DoFn, RestrictionProvider):
    """Receives, emits what is new, and asks the runner to come back; it is its own provider of restrictions."""

    def __init__(
        self,
        queue: Queue,
        receiving: Receiving,
        delay: float,
        own: str | None,
        notices: Notices | None,
        clock: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._token = new_token(_TOKEN_CHARACTERS)
        self._receiving = receiving
        self._delay = int(delay * MICROS)
        self._own = own
        self._notices = notices
        self._clock = clock

    def initial_restriction(self, element: bytes) -> QueueWork:
        """Return the work before the first message."""
        begun = self._now()
        return QueueWork(begun, 0, EventMemory(begun))

    def create_tracker(self, restriction: QueueWork) -> QueueTracker:
        """Return what a runner splits the work with."""
        return QueueTracker(restriction)

    def restriction_coder(self) -> QueueCoder:
        """Return the coder of what is remembered."""
        return QueueCoder()

    def restriction_size(self, element: bytes, restriction: QueueWork) -> int:
        """Return a turn's share of the work: all are alike."""
        return 1

    def truncate(self, element: bytes, restriction: QueueWork) -> None:
        """Return nothing: a runner that drains stops here, and what is in the queue stays there."""

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: bytes,
        timestamp: Any = beam.DoFn.TimestampParam,
        # Beam hands over what follows by name, so this comes first
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
        tracker: Any = beam.DoFn.RestrictionParam(),  # noqa: B008 - Beam reads it off the default
        estimator: Any = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider()),  # noqa: B008
    ) -> Iterator[Any]:
        """Receive for the time of a bundle, or until the queue is empty."""
        # without one, a runner holds the watermark at the beginning of time
        advance(estimator, timestamp)
        work: QueueWork = tracker.current_restriction()
        hidden, receipts = in_flight(self._queue, self._token), list[str]()
        # in each bundle: Prism finalizes all bundles of such a step, and logs an error for one with nothing registered
        finalizer.register(functools.partial(hidden.commit, receipts))
        hidden.begin(work.turn)
        reader = QueueReader(self._queue, hidden, work.memory, work.begun, self._own)
        until = time.monotonic() + self._receiving.bundle
        while not (hidden.is_ending or self._is_stop_asked()):
            # before the claim, under whose lock the runner could not ask for a checkpoint
            look = reader.look(self._now())
            if not tracker.try_claim(reader.memory):
                if look is not None:
                    hidden.release(look.receipts)
                return
            if look is not None:
                receipts += look.receipts
                hidden.add(look.receipts, work.turn)
                yield from self._outputs(look, reader.memory.at)
            if self._is_over(reader.memory.at - work.begun, look):
                break
            self._advance(estimator, look, reader.memory.at)
            is_idle = look is None or not look.receipts
            if is_idle or time.monotonic() > until:
                tracker.defer_remainder(Duration.of(self._receiving.poll_interval if is_idle else 0))
                return
        # what this bundle has received is committed when it has ended, so there is one more
        if hidden.has_ended(self._receiving.settle):
            tracker.try_claim(None)
        elif tracker.try_claim(reader.memory):
            reader.keep()
            tracker.defer_remainder(Duration.of(_SETTLE_SECONDS))

    def _outputs(self, look: Look, found: int) -> Iterator[Any]:
        for file in look.files:
            # a file by a clock that is ahead must not be ahead of the watermark: its records need not be
            yield TimestampedValue(file, self._stamp(min(file[2], found)))
        for message in look.rejected:
            yield beam.pvalue.TaggedOutput(_REJECTED, TimestampedValue(message, self._stamp(message[1])))

    def _is_stop_asked(self) -> bool:
        return self._notices is not None and self._notices.is_stop_asked()

    def _is_over(self, micros: int, look: Look | None) -> bool:
        """Return whether the job has received for as long as it shall."""
        if self._receiving.stop_after is None:
            return False
        over = micros / MICROS - self._receiving.stop_after
        return over > 0 and (look is None or not look.receipts or over > _BUSY_SECONDS)

    def _advance(self, estimator: Any, look: Look | None, at: int) -> None:
        reached = None if look is None else look.reached(at)
        if reached is not None:
            advance(estimator, self._stamp(min(reached, at) - _ON_THE_WAY))

    def _stamp(self, micros: int) -> Timestamp:
        return Timestamp(micros=micros - self._delay)

    def _now(self) -> int:
        return int(self._clock() * MICROS)
