"""Which files are new: none is read twice, none is missed, and what is remembered does not grow for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.file_memory import FileMemory

WEEK = 604_800.0


def test_a_file_is_new_once_as_long_as_it_is_there() -> None:
    memory, found = FileMemory(0), []
    for day in range(1_000):
        new, memory = memory.after([f"s3://b/{number}" for number in range(day // 10 + 1)], day * 86_400, WEEK)
        found += new
    assert found == [f"s3://b/{number}" for number in range(100)]


def test_a_listing_that_misses_a_file_for_a_while_does_not_make_it_new() -> None:
    _, memory = FileMemory(0).after(["a", "b"], 10, WEEK)
    new, memory = memory.after([], 20, WEEK)
    assert new == []
    new, memory = memory.after(["a", "b", "c"], 10 + WEEK, WEEK)
    assert new == ["c"]
    assert memory.gone == b""


def test_a_path_that_was_gone_for_longer_names_another_file() -> None:
    _, memory = FileMemory(0).after(["a", "b"], 10, 60)
    _, memory = memory.after(["b"], 20, 60)
    new, memory = memory.after(["a", "b"], 81, 60)
    assert new == ["a"]
    assert memory.after(["a", "b"], 90, 60)[0] == []


def test_what_is_remembered_follows_what_is_there() -> None:
    memory, size = FileMemory(0), 0
    for second in range(2_000):
        new, memory = memory.after([f"{second}", f"{second + 1}"], second, 10)
        assert len(new) == (2 if second == 0 else 1)
        size = max(size, len(memory.there) + len(memory.gone))
    assert size == 2 * 16 + 10 * 24


def test_the_time_of_a_look_is_never_before_that_of_an_earlier_one() -> None:
    _, memory = FileMemory(0).after(["a"], 100, WEEK)
    new, memory = memory.after(["a", "b"], 40, WEEK)
    assert new == ["b"]
    assert memory.at == 100 * MICROS
    assert memory.after(["a"], 101, WEEK)[1].at == 101 * MICROS
    assert memory.after(["a", "b"], 30, WEEK)[1].at == 100 * MICROS


def test_a_clock_that_is_set_back_does_not_make_it_forget_or_remember_otherwise() -> None:
    _, memory = FileMemory(0).after(["a", "b"], 100, 60)
    _, memory = memory.after(["b"], 110, 60)
    _, memory = memory.after(["b"], 20, 60)
    assert memory.after(["a", "b"], 169, 60)[0] == []
    assert memory.after(["a", "b"], 171, 60)[0] == ["a"]


def test_paths_that_are_no_text_are_files_too() -> None:
    new, memory = FileMemory(0).after(["a\udcff", "ä"], 1, WEEK)
    assert len(new) == 2
    assert memory.after(["a\udcff", "ä"], 2, WEEK)[0] == []


@given(
    looks=st.lists(st.tuples(st.sets(st.integers(0, 8)), st.integers(0, 30)), max_size=40), forget=st.integers(1, 40)
)
def test_it_agrees_with_a_plain_model(looks: list[tuple[set[int], int]], forget: int) -> None:
    memory, at = FileMemory(0), 0
    there: set[str] = set()
    gone: dict[str, int] = {}
    for numbers, now in looks:
        paths = set(map(str, numbers))
        at = max(at, now)
        gone = {path: since for path, since in gone.items() if since > at - forget}
        expected = sorted(paths - there - gone.keys())
        gone = {path: since for path, since in gone.items() if path not in paths} | dict.fromkeys(there - paths, at)
        there = paths
        new, memory = memory.after(paths, now, forget)
        assert new == expected
        assert (memory.at, len(memory.there), len(memory.gone)) == (at * MICROS, 16 * len(there), 24 * len(gone))
