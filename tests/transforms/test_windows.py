"""Windows: unique names, and an encoding from which they are decoded."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
    NonMergingWindowFn,
    SlidingWindows,
    WindowFn,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from beam_s3box.errors import ConfigurationError
from beam_s3box.transforms.windows import WindowOfKey, Windows, last_moment, restoring_windowfn

MINUTE = FixedWindows(60)


class Named(IntervalWindow):
    """A window with more properties than its bounds."""

    def __init__(self, start: float, end: float, name: int) -> None:
        super().__init__(start, end)
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and super().__eq__(other) and other.name == self.name

    def __hash__(self) -> int:
        return hash((self.start, self.end, self.name))


class NamedCoder(VarIntCoder):
    def encode(self, value: Any) -> bytes:
        return bytes(super().encode(value.name))

    def decode(self, encoded: bytes) -> Any:
        return Named(0, 60, super().decode(encoded))


class ByName(NonMergingWindowFn):
    def assign(self, context: WindowFn.AssignContext) -> list[Named]:
        return [Named(0, 60, context.element)]

    def get_window_coder(self) -> Any:
        return NamedCoder()


class Subclass(FixedWindows):
    """Beam's own windows under another name, which no Java runner knows."""


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (IntervalWindow(0, 60), "19700101T000000Z-19700101T000100Z"),
        (IntervalWindow(-10, 10), "19691231T235950Z-19700101T000010Z"),
        (IntervalWindow(1_795_342_500, 1_795_342_560), "20261122T101500Z-20261122T101600Z"),
        (IntervalWindow(0.25, 0.5), "19700101T000000.250000Z-19700101T000000.500000Z"),
        (IntervalWindow(-62_135_596_800, -62_135_596_740), "00010101T000000Z-00010101T000100Z"),
        (IntervalWindow(253_402_300_740, 253_402_300_800), "99991231T235900Z-Y0100000101T000000Z"),
        (GlobalWindow(), ""),
    ],
)
def test_names(window: Any, name: str) -> None:
    windowfn = GlobalWindows() if isinstance(window, GlobalWindow) else MINUTE
    assert Windows(windowfn).name(window) == name


def test_windows_that_end_together_have_names_of_their_own() -> None:
    windows = Windows(ByName())
    names = [windows.name(Named(0, 60, number)) for number in range(20)]
    assert len(set(names)) == 20
    assert all(name.startswith("until-19700101T000100Z-") for name in names)
    assert names == [windows.name(Named(0, 60, number)) for number in range(20)], "and keep them"


def test_names_of_fixed_windows_sort_by_time() -> None:
    names = [Windows(MINUTE).name(IntervalWindow(start, start + 60)) for start in range(-600, 100_000, 60)]
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("windowfn", "window"),
    [
        (MINUTE, IntervalWindow(60, 120)),
        (SlidingWindows(60, 10), IntervalWindow(-50, 10)),
        (GlobalWindows(), GlobalWindow()),
        (ByName(), Named(0, 60, 7)),
    ],
)
def test_a_window_comes_back_from_its_bytes(windowfn: WindowFn, window: Any) -> None:
    windows = pickle.loads(pickle.dumps(Windows(windowfn)))
    encoded = windows.encode(window)
    assert isinstance(encoded, bytes)
    assert windows.decode(encoded) == window
    assert type(windows.decode(encoded)) is type(window)
    assert windows.encode(windows.decode(encoded)) == encoded


@pytest.mark.parametrize("windowfn", [MINUTE, SlidingWindows(60, 10), GlobalWindows()])
def test_beams_own_functions_restore_by_the_time_of_the_windows_end(windowfn: WindowFn) -> None:
    """Any runner knows them; the window is among those that they assign."""
    assert restoring_windowfn(windowfn) is windowfn
    [window, *_] = windowfn.assign(WindowFn.AssignContext(100))
    assert window in windowfn.assign(WindowFn.AssignContext(window.max_timestamp()))


@pytest.mark.parametrize(("windowfn", "window"), [(ByName(), Named(0, 60, 3)), (Subclass(60), IntervalWindow(60, 120))])
def test_any_other_function_restores_from_the_key(windowfn: WindowFn, window: Any) -> None:
    again = restoring_windowfn(windowfn)
    assert isinstance(again, WindowOfKey)
    assert not again.is_merging()
    element = Windows(windowfn).encode(window), "what was a record is gone"
    assert again.assign(WindowFn.AssignContext(0, element=element)) == [window]
    assert type(again.get_window_coder()) is type(windowfn.get_window_coder())


@pytest.mark.parametrize("seconds", [-(10**13), -62_135_596_801, -1, 0, 253_402_300_799, 10**12, 10**13, 10**30])
def test_every_time_has_a_name_that_no_other_time_has(seconds: int) -> None:
    names = [Windows(MINUTE).name(IntervalWindow(start, start + 1)) for start in range(seconds - 100, seconds + 100)]
    assert len(set(names)) == 200
    assert all(re.fullmatch(r"[-0-9TYZ]+", name) for name in names)


def test_names_of_years_of_more_digits_sort_behind_the_others() -> None:
    ends = [-62_135_596_800, 0, 253_402_300_800, 10**12, 10**13]
    names = [Windows(MINUTE).name(IntervalWindow(end - 60, end)) for end in ends]
    assert names == sorted(names)


@pytest.mark.parametrize("time", [MIN_TIMESTAMP, MAX_TIMESTAMP, GlobalWindow().max_timestamp()])
def test_windows_at_both_ends_of_time_have_names_and_a_last_moment(time: Timestamp) -> None:
    [window] = MINUTE.assign(WindowFn.AssignContext(time))
    assert Windows(MINUTE).name(window)
    assert time <= last_moment(window) <= MAX_TIMESTAMP


@pytest.mark.parametrize("window", [IntervalWindow(0.0005, 1), IntervalWindow(0, 0.0005), Named(0, 0.0005, 1)])
def test_a_bound_within_a_millisecond_is_refused(window: IntervalWindow) -> None:
    with pytest.raises(ConfigurationError, match=r"fraction of a millisecond.*whole milliseconds"):
        Windows(ByName()).name(window)
