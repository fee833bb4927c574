"""Windows: names that tell them apart, and bytes that bring them back."""

from __future__ import annotations

import pickle
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
from apache_beam.utils.timestamp import MIN_TIMESTAMP

from beam_s3box.errors import ConfigurationError
from beam_s3box.transforms.windows import WindowOfKey, Windows, restoring

MINUTE = FixedWindows(60)


class Named(IntervalWindow):
    """A window that is more than its bounds."""

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
    """Beam's own windows under another name: no runner in Java knows it."""


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (IntervalWindow(0, 60), "19700101T000000Z-19700101T000100Z"),
        (IntervalWindow(-10, 10), "19691231T235950Z-19700101T000010Z"),
        (IntervalWindow(1_795_342_500, 1_795_342_560), "20261122T101500Z-20261122T101600Z"),
        (IntervalWindow(0.25, 0.5), "19700101T000000.250000Z-19700101T000000.500000Z"),
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
    assert restoring(windowfn) is windowfn
    [window, *_] = windowfn.assign(WindowFn.AssignContext(100))
    assert window in windowfn.assign(WindowFn.AssignContext(window.max_timestamp()))


@pytest.mark.parametrize(("windowfn", "window"), [(ByName(), Named(0, 60, 3)), (Subclass(60), IntervalWindow(60, 120))])
def test_any_other_function_restores_from_the_key(windowfn: WindowFn, window: Any) -> None:
    again = restoring(windowfn)
    assert isinstance(again, WindowOfKey)
    assert not again.is_merging()
    element = Windows(windowfn).encode(window), "what was a record is gone"
    assert again.assign(WindowFn.AssignContext(0, element=element)) == [window]
    assert type(again.get_window_coder()) is type(windowfn.get_window_coder())


def test_records_without_a_time_are_told_apart_from_a_bug() -> None:
    [window] = MINUTE.assign(WindowFn.AssignContext(MIN_TIMESTAMP))
    with pytest.raises(ConfigurationError, match=r"no event time.*TimestampedValue\(record, seconds\)"):
        Windows(MINUTE).name(window)
