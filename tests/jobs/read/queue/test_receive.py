"""Objects that a queue names come out once, and their messages are gone when the runner has committed: FnApiRunner."""

from __future__ import annotations

import time
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.utils.timestamp import Timestamp

from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.queue.event_memory import EventMemory
from beam_s3box.jobs.read.queue.look import QueueReader
from beam_s3box.jobs.read.queue.messages import InFlight, Message, Queue
from beam_s3box.jobs.read.queue.queue_restriction import QueueTracker, QueueWork
from beam_s3box.jobs.read.queue.receive import ReceiveObjects, Receiving
from beam_s3box.records.encoding import NOT_AN_EVENT
from tests.jobs.read.queue.test_events import CREATED, EVENT, event_bridge, notification
from tests.jobs.read.queue.test_messages import left, send
from tools.moto import Moto

NOW = (CREATED + 100) * MICROS
BEGUN = (CREATED - 1_000) * MICROS


def message(body: str, receipt: str = "r", sent: int = CREATED * MICROS) -> Message:
    return Message(f"id-of-{receipt}", receipt, body, sent)


class Fed:
    """Messages by the look, in the place of a queue."""

    def __init__(self, *looks: list[Message]) -> None:
        self._looks = list(looks)

    def __call__(self, queue: Queue, seconds: int) -> list[Message]:
        return self._looks.pop(0) if self._looks else []


def reader(*looks: list[Message], memory: EventMemory | None = None, own: str | None = None) -> QueueReader:
    queue = Queue("https://sqs.nowhere/1/q")
    return QueueReader(queue, InFlight(queue), memory or EventMemory(BEGUN), BEGUN, own, Fed(*looks))


def test_a_repeated_event_names_its_object_once_and_its_message_is_deleted_too() -> None:
    one = reader([message(notification(), "a"), message(event_bridge(), "b")], [message(notification(), "c")])
    first, second = one.look(NOW), one.look(NOW + 1)
    assert first is not None
    assert second is not None
    assert first.files == [(EVENT.url, 3, CREATED * MICROS, False, f'"{EVENT.etag}"')]
    assert (first.receipts, second.receipts, second.files) == (["a", "b"], ["c"], [])
    # and also after a runner has kept what is known
    again = reader([message(notification(), "d")], memory=one.memory).look(NOW + 2)
    assert again is not None
    assert again.files == []


def test_a_message_that_is_no_event_is_kept_aside_once() -> None:
    one = reader([message("hello", "a")], [message("hello", "a")])
    first, second = one.look(NOW), one.look(NOW)
    assert first is not None
    assert second is not None
    [(row, sent)] = first.rejected
    assert (row.reason, row.source, row.raw, sent) == (
        NOT_AN_EVENT,
        "https://sqs.nowhere/1/q",
        b"hello",
        CREATED * MICROS,
    )
    assert row.detail.startswith("message id-of-a is no event of S3")
    assert (second.rejected, second.receipts) == ([], ["a"])


@pytest.mark.parametrize(
    "key", ["landing/_SUCCESS", "landing/", "landing/.part.jsonl", "box/data/a.gz", "box/runs/r.json"]
)
def test_what_is_no_data_or_what_the_job_itself_writes_is_passed_over(key: str) -> None:
    look = reader([message(notification(key))], own="s3://lake/box/").look(NOW)
    assert look is not None
    assert (look.files, look.receipts) == ([], ["r"])


def test_when_an_object_arrived() -> None:
    """At its event's time; when the job began, if that is later; and if nothing tells, when it is found."""
    bodies = [notification("a"), notification("b").replace("2023-11-14", "2023-11-13"), notification("c")]
    bodies[2] = bodies[2].replace("2023-11-14T22:13:20.000Z", "2024-11-14T22:13:20.000Z")
    look = reader([message(body, body) for body in bodies]).look(NOW)
    assert look is not None
    assert [file[2:4] for file in look.files] == [(CREATED * MICROS, False), (BEGUN, False), (NOW, True)]


def test_a_queue_with_messages_holds_the_watermark_at_the_oldest_of_them() -> None:
    one = reader([message(notification())], [message(notification())], [])
    looks = [one.look(NOW) for _ in range(3)]
    assert [look and look.reached(NOW) for look in looks] == [CREATED * MICROS, None, NOW]


class Finalizer:
    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def register(self, callback: Any) -> None:
        self.callbacks.append(callback)


class Turn:
    """One bundle of the step that receives, on a real queue."""

    def __init__(self, transform: ReceiveObjects, work: QueueWork) -> None:
        self.tracker = ThreadsafeRestrictionTracker(QueueTracker(work))
        self.finalizer, self.estimator = Finalizer(), ManualWatermarkEstimator(None)
        view = RestrictionTrackerView(self.tracker)
        self.steps = transform._receive.process(b"", Timestamp(0), self.finalizer, view, self.estimator)

    @property
    def rest(self) -> QueueWork:
        deferred = self.tracker.deferred_status()
        assert deferred is not None
        work: QueueWork = deferred[0]
        return work


def begun() -> QueueWork:
    now = int(time.time() * MICROS)
    return QueueWork(now, 0, EventMemory(now))


def test_a_bundle_that_is_not_committed_gives_its_messages_to_the_next_attempt(aws: Moto, queue: Queue) -> None:
    queue = queue._replace(visibility=600)
    send(aws, queue, notification("a"), notification("b"))
    work, transform = begun(), ReceiveObjects(queue, Receiving(poll_interval=0.1), delay=0)
    lost = Turn(transform, work)
    assert len(list(lost.steps)) == 2
    assert left(queue) == (0, 2)
    again = Turn(transform, work)
    assert len(list(again.steps)) == 2
    later = Turn(transform, again.rest)
    assert list(later.steps) == []
    assert left(queue) == (0, 2)
    for callback in again.finalizer.callbacks:
        callback()
    assert left(queue) == (0, 0)


def test_what_a_runner_takes_away_in_mid_bundle_is_received_by_the_next_turn(aws: Moto, queue: Queue) -> None:
    queue = queue._replace(visibility=600)
    send(aws, queue, *(notification(f"{at}") for at in range(15)))
    transform = ReceiveObjects(queue, Receiving(poll_interval=0.1), delay=0)
    first = Turn(transform, begun())
    named = [next(first.steps) for _ in range(10)]
    split = first.tracker.try_split(0)
    assert split is not None
    assert len([*named, *first.steps]) == 10
    rest = Turn(transform, split[1])
    assert len(list(rest.steps)) == 5
    for turn in (first, rest):
        for callback in turn.finalizer.callbacks:
            callback()
    assert left(queue) == (0, 0)


def test_a_job_names_each_object_once_and_leaves_the_queue_empty(aws: Moto, queue: Queue) -> None:
    send(
        aws,
        queue,
        *(notification(f"landing/{at}.jsonl") for at in range(25)),
        "no event",
        notification("landing/3.jsonl"),
    )
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    received = pipeline | ReceiveObjects(queue, Receiving(poll_interval=0.1, stop_after=3), delay=0)
    paths = received.files | "Path" >> beam.ParDo(First())
    assert_that(paths, equal_to([f"s3://lake/landing/{at}.jsonl" for at in range(25)]), label="paths")
    assert_that(received.rejected | "Raw" >> beam.ParDo(Raw()), equal_to([b"no event"]), label="rejected")
    pipeline.run().wait_until_finish()
    assert left(queue) == (0, 0)


def test_a_job_ends_when_what_it_received_is_committed(aws: Moto, queue: Queue) -> None:
    """Else the messages would come again, to the next run."""
    queue = queue._replace(visibility=600)
    send(aws, queue, notification("a"))
    transform = ReceiveObjects(queue, Receiving(poll_interval=0.1, stop_after=0.001), delay=0)
    now = begun()
    first = Turn(transform, now._replace(begun=now.begun - MICROS))
    assert len(list(first.steps)) == 1
    second = Turn(transform, first.rest)
    assert list(second.steps) == []
    send(aws, queue, notification("b"))
    for callback in first.finalizer.callbacks:
        callback()
    third = Turn(transform, second.rest)
    assert list(third.steps) == []
    assert third.tracker.deferred_status() is None
    assert left(queue) == (1, 0), "what came later is for the next run"


def test_it_does_not_wait_for_ever(aws: Moto, queue: Queue) -> None:
    send(aws, queue, notification("a"))
    transform = ReceiveObjects(queue, Receiving(poll_interval=0.1, stop_after=0.001, settle=0.2), delay=0)
    now = begun()
    first = Turn(transform, now._replace(begun=now.begun - MICROS))
    assert len(list(first.steps)) == 1
    time.sleep(0.3)
    second = Turn(transform, first.rest)
    assert list(second.steps) == []
    assert second.tracker.deferred_status() is None


class First(beam.DoFn):
    def process(self, file: tuple[Any, ...]) -> Any:
        yield file[0]


class Raw(beam.DoFn):
    def process(self, message: tuple[Any, int]) -> Any:
        yield message[0].raw
