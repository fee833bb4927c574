from __future__ import annotations

import pickle

from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.queue.event_memory import EventMemory, KnownEvents
from beam_s3box.jobs.read.queue.queue_restriction import QueueCoder, QueueTracker, QueueWork

NOW = 1_700_000_000 * MICROS
MINUTE = 60 * MICROS


def mark(number: int) -> bytes:
    return number.to_bytes(12, "big")


def test_an_event_is_new_once() -> None:
    known = KnownEvents(EventMemory(NOW))
    assert known.add([mark(1), mark(2), mark(1)]) == [True, True, False]
    assert KnownEvents(known.memory).add([mark(2), mark(3)]) == [False, True]
    assert known.memory.blocks == ((0, mark(1) + mark(2)),)


def test_it_is_known_for_an_hour_and_not_for_ever() -> None:
    known = KnownEvents(EventMemory(NOW))
    known.add([mark(0)])
    for minute in range(1, 61):
        known.look(NOW + minute * MINUTE)
        assert known.add([mark(0), mark(minute)]) == [False, True]
    for minute in range(61, 67):
        known.look(NOW + minute * MINUTE)
    assert known.add([mark(0), mark(10)]) == [True, False]
    assert len(known.memory.blocks) <= 14


def test_nothing_is_forgotten_while_the_job_stands_still() -> None:
    """A message that was read but not deleted comes again when the job goes on, however much later that is."""
    known = KnownEvents(EventMemory(NOW))
    known.add([mark(1)])
    known.look(NOW + 24 * 60 * MINUTE)
    assert known.add([mark(1)]) == [False]


def test_a_clock_that_is_set_back_does_not_take_time_back() -> None:
    known = KnownEvents(EventMemory(NOW))
    known.look(NOW - 60 * MINUTE)
    assert (known.memory.at, known.memory.looked) == (NOW, 0)


def test_the_work_survives_its_coder() -> None:
    known = KnownEvents(EventMemory(NOW))
    known.add([mark(number) for number in range(1_000)])
    known.look(NOW + MINUTE)
    work = QueueWork(NOW, 7, known.memory, True)
    coder = pickle.loads(pickle.dumps(QueueCoder()))
    encoded = coder.encode(work)
    assert coder.decode(encoded) == work
    assert len(encoded) < 12 * 1_000 + 100


def test_only_a_split_at_once_is_answered_and_the_rest_is_the_next_turn() -> None:
    before, after = EventMemory(NOW), EventMemory(NOW + 1, 1, ((0, mark(1)),))
    tracker = QueueTracker(QueueWork(NOW, 3, before))
    assert tracker.try_split(0.5) is None
    assert tracker.try_claim(after)
    assert tracker.try_split(0) == (QueueWork(NOW, 3, after, True), QueueWork(NOW, 4, after))
    assert tracker.check_done()
    assert not tracker.try_claim(before)
    assert tracker.try_split(0) is None
