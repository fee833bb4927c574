"""Lanes: a stream spreads, and a record always finds the same lane."""

from __future__ import annotations

import collections
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.lanes import MAX_LANES, by_lane, check_lanes, lane_of

ROOT = Path(__file__).parents[2]
LINES = st.lists(st.binary(min_size=2, max_size=20), max_size=50)


@given(LINES, st.integers(1, 12))
def test_every_line_is_in_its_lane_once_in_order(lines: list[bytes], lanes: int) -> None:
    spread = [(lane, list(some)) for lane, some in by_lane(lines, lanes)]
    assert len({lane for lane, _ in spread}) == len(spread)
    assert all(0 <= lane < lanes for lane, _ in spread)
    for lane, some in spread:
        assert some == [line for line in lines if lane_of(line, lanes) == lane]
    assert sorted(line for _, some in spread for line in some) == sorted(lines)


@given(LINES.filter(bool), st.integers(2, 12))
def test_a_lane_without_lines_is_left_out(lines: list[bytes], lanes: int) -> None:
    assert all(some for _, some in by_lane(lines, lanes))


def test_one_lane_is_the_batch_itself() -> None:
    lines = [b"{}", b"{}"]
    [(lane, some)] = by_lane(lines, 1)
    assert lane == 0
    assert some is lines


@pytest.mark.parametrize("lanes", [2, 8, 32])
def test_a_hot_stream_spreads_evenly(lanes: int) -> None:
    lines = [b'{"d":"a","n":"x","i":%d}' % number for number in range(20_000)]
    counts = collections.Counter(lane_of(line, lanes) for line in lines)
    assert sorted(counts) == list(range(lanes))
    assert min(counts.values()) > 0.7 * len(lines) / lanes


def test_a_record_finds_the_same_lane_in_every_process() -> None:
    """Python's own `hash` would not: it is salted."""
    lines = [b'{"i":%d}' % number for number in range(50)]
    program = f"from beam_s3box.shards.lanes import lane_of; print([lane_of(line, 7) for line in {lines!r}])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([lane_of(line, 7) for line in lines])


@pytest.mark.parametrize("lanes", [1, 2, MAX_LANES])
def test_numbers_of_lanes(lanes: int) -> None:
    assert check_lanes(lanes) == lanes


@pytest.mark.parametrize("lanes", [0, -1, MAX_LANES + 1, True, 1.0, "4", None])
def test_what_is_no_number_of_lanes(lanes: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"lanes={lanes!r} must be a whole number from 1 to {MAX_LANES}"):
        check_lanes(lanes)  # type: ignore[arg-type]
