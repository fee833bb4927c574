"""The watermark of a reader: the least over its parts, held by what nobody can tell the time of."""

from __future__ import annotations

from beam_s3box.sources.watermark import MICROS, LeastOfReaders, Pacing, PartsWatermark

PACING = Pacing(delay=2, idle=5, look=10)
NOW = 1_700_000_000 * MICROS


def seconds(number: float) -> int:
    return NOW + int(number * MICROS)


def watermark() -> PartsWatermark:
    return PartsWatermark(PACING, NOW)


def no_end(part: str) -> bool:
    return False


def at_end(part: str) -> bool:
    return True


def test_the_slowest_part_holds_it() -> None:
    times = watermark()
    times.saw("a", seconds(-100), NOW)
    assert times.after(["a", "b"], no_end, NOW) is None, "of b nobody knows the time"
    times.saw("b", seconds(-50), NOW)
    assert times.after(["a", "b"], no_end, NOW) == seconds(-102)
    times.saw("a", seconds(-10), NOW)
    assert times.after(["a", "b"], no_end, NOW) == seconds(-52)
    times.saw("a", seconds(-90), NOW)
    assert times.after(["a"], no_end, NOW) == seconds(-12), "records out of order do not take it back"


def test_a_part_at_its_end_has_reached_the_present_after_a_while() -> None:
    times = watermark()
    times.saw("a", seconds(-100), NOW)
    assert times.after(["a", "empty"], at_end, NOW) is None
    assert times.after(["a", "empty"], at_end, seconds(4.9)) is None
    assert times.after(["a", "empty"], at_end, seconds(5)) == seconds(3)
    times.saw("a", seconds(5), seconds(5))
    assert times.after(["a", "empty"], at_end, seconds(7)) == seconds(3)


def test_an_end_that_is_in_doubt_counts_from_then_on_again() -> None:
    times = watermark()
    times.saw("a", seconds(0), NOW)
    assert times.after(["a"], at_end, NOW) == seconds(-2)
    assert times.after(["a"], no_end, seconds(4)) == seconds(-2)
    assert times.after(["a"], at_end, seconds(6)) == seconds(-2)
    assert times.after(["a"], at_end, seconds(11)) == seconds(8), "held by the look of 0, which is good for 10 s"


def test_a_look_that_fails_holds_it() -> None:
    times = watermark()
    assert not times.is_look_due(seconds(9.9))
    assert times.is_look_due(seconds(10))
    assert times.is_look_due(seconds(-1)), "a clock that was set back must not put it off"
    times.after(["a"], at_end, NOW)
    assert times.after(["a"], at_end, seconds(60)) == seconds(8)
    times.looked(seconds(60))
    assert times.after(["a"], at_end, seconds(61)) == seconds(59)


def test_a_time_to_come_counts_as_the_present() -> None:
    times = watermark()
    times.saw("a", seconds(5_000), NOW)
    assert times.after(["a"], no_end, NOW) == seconds(-2)


def test_parts_that_are_gone_hold_nothing() -> None:
    times = watermark()
    times.saw("a", seconds(-100), NOW)
    times.saw("b", seconds(-10), NOW)
    times.forget(["a"])
    assert times.after(["b"], no_end, NOW) == seconds(-12)
    assert times.after([], no_end, NOW) == seconds(-2), "a reader without parts holds nobody"


def test_readers_see_of_each_other_what_is_committed() -> None:
    least = LeastOfReaders()
    assert least.least("s", 0, 2, 7) is None
    least.commit("s", 0, 5)
    assert least.least("s", 1, 2, 9) == 5
    assert least.least("s", 0, 2, 8) is None, "the other one has committed nothing"
    least.commit("s", 1, 6)
    assert least.least("s", 0, 2, 8) == 6
    least.commit("s", 1, None)
    assert least.least("s", 0, 2, 8) is None
    assert least.least("other", 0, 1, 3) == 3
