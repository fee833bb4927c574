"""A reader's work: what runners split, keep and go on with."""

from __future__ import annotations

import pytest

from beam_s3box.sources.positions import PartRange, PartsProvider, PartsTracker, ReaderWork, WorkCoder, ranges_of

BEGUN = ranges_of({"t:1": ("0", "0"), "t:0": ("5", "5")})
READ = ranges_of({"t:0": ("5", "9"), "t:1": ("0", "0")})


def test_ranges_have_one_order() -> None:
    assert (PartRange("t:0", "5", "5"), PartRange("t:1", "0", "0")) == BEGUN


@pytest.mark.parametrize("work", [ReaderWork(BEGUN, False), ReaderWork(READ, True), ReaderWork((), False)])
def test_work_comes_back_from_its_bytes(work: ReaderWork) -> None:
    coder = WorkCoder()
    assert coder.decode(coder.encode(work)) == work
    assert coder.is_deterministic()


def test_a_split_at_once_leaves_what_was_claimed() -> None:
    tracker = PartsTracker(ReaderWork(BEGUN, False))
    assert not tracker.is_bounded()
    assert tracker.try_claim(READ)
    assert tracker.try_split(0.5) is None, "a part has one reader"
    assert tracker.try_split(0) == (ReaderWork(READ, True), ReaderWork(READ, False))
    assert not tracker.try_claim(BEGUN), "somebody else goes on"
    assert tracker.try_split(0) is None
    assert tracker.check_done()
    assert tracker.is_bounded()


def test_a_reader_that_stops_has_no_rest() -> None:
    tracker = PartsTracker(ReaderWork(READ, False))
    with pytest.raises(ValueError, match="neither read to an end nor put off"):
        tracker.check_done()
    assert tracker.try_claim(None)
    assert tracker.current_restriction() == ReaderWork(READ, True)
    assert tracker.try_split(0) is None
    assert tracker.check_done()


def test_a_reader_begins_with_its_parts() -> None:
    provider = PartsProvider()
    work = provider.initial_restriction((0, 1, 0, (("t:1", "0"), ("t:0", "5"))))
    assert work == ReaderWork(BEGUN, False)
    assert provider.create_tracker(work).current_restriction() == work
    assert provider.truncate((0, 1, 0, ()), work) is None
