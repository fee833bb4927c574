"""A watch's work: what runners split, keep and try again."""

from __future__ import annotations

import pytest

from beam_s3box.jobs.read.file_memory import FileMemory
from beam_s3box.jobs.read.watch_restriction import Round, RoundTracker, WatchCoder, WatchState

BEFORE = WatchState(5, FileMemory(7, b"x" * 16))
AFTER = WatchState(5, FileMemory(9, b"x" * 16 + b"y" * 16, b"z" * 24))
FILES = (("s3://b/a ä", 3, 9, False), ("s3://b/b", 2**40, 9, True))
LOOK = Round(FILES, 9, AFTER)
NOTHING = Round((), 0)


@pytest.mark.parametrize("work", [BEFORE, AFTER, Round(FILES, 9), NOTHING])
def test_work_comes_back_from_its_bytes(work: WatchState | Round) -> None:
    coder = WatchCoder()
    assert coder.decode(coder.encode(work)) == work
    assert type(coder.decode(coder.encode(work))) is type(work)


def test_a_look_that_is_done_is_split_from_those_to_come() -> None:
    tracker = RoundTracker(BEFORE)
    assert not tracker.is_bounded()
    assert tracker.try_claim(LOOK)
    assert tracker.try_split(0) == (Round(FILES, 9), AFTER)
    assert tracker.current_restriction() == Round(FILES, 9)
    assert tracker.is_bounded()
    assert tracker.check_done()


def test_work_that_is_split_off_before_the_look_is_all_of_it() -> None:
    tracker = RoundTracker(BEFORE)
    assert tracker.try_split(0) == (NOTHING, BEFORE)
    assert not tracker.try_claim(LOOK), "another worker looks now"
    assert tracker.check_done()


def test_the_rest_is_given_away_once() -> None:
    tracker = RoundTracker(BEFORE)
    assert tracker.try_claim(LOOK)
    assert tracker.try_split(0.5) == (Round(FILES, 9), AFTER)
    assert tracker.try_split(0) == (Round(FILES, 9), NOTHING)
    assert not tracker.try_claim(LOOK)


def test_a_look_that_is_tried_again_has_no_rest() -> None:
    tracker = RoundTracker(Round(FILES, 9))
    assert tracker.is_bounded()
    assert tracker.try_claim(Round(FILES, 9))
    assert tracker.try_split(0) == (Round(FILES, 9), NOTHING)


def test_one_look_at_a_time() -> None:
    tracker = RoundTracker(BEFORE)
    assert tracker.try_claim(LOOK)
    assert not tracker.try_claim(LOOK)


def test_work_that_ends_without_a_look_is_an_error() -> None:
    tracker = RoundTracker(BEFORE)
    assert tracker.current_progress().completed_work == 0
    with pytest.raises(ValueError, match="without a look"):
        tracker.check_done()
    assert tracker.try_claim(LOOK)
    assert tracker.current_progress().remaining_work == 0
    assert tracker.check_done()
