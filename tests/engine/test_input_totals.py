"""Sums of what came in: of bundles, files and streams, in any grouping."""

from __future__ import annotations

import random

import pytest

from beam_s3box.engine.input_totals import MAX_STREAMS, OTHERS, InputTotals, StreamName, sum_totals
from beam_s3box.engine.run_totals import RunInput, StreamTotals, joined_input


def letters(stream: StreamName, **reasons: int) -> InputTotals:
    return InputTotals(rejected=sum(reasons.values()), streams={stream: reasons})


def test_dead_letters_add_up_by_stream_and_reason() -> None:
    one = letters(("web", "a"), missing_stream=2).plus(letters(("web", "b"), not_json=3))
    other = letters(("web", "a"), missing_stream=5, not_json=1).plus(letters((None, "a"), not_json=7))
    expected = {
        ("web", "a"): {"missing_stream": 7, "not_json": 1},
        ("web", "b"): {"not_json": 3},
        (None, "a"): {"not_json": 7},
    }
    assert one.plus(other).streams == other.plus(one).streams == expected
    assert (one.streams[("web", "a")], other.streams[("web", "a")]) == (
        {"missing_stream": 2},
        {"missing_stream": 5, "not_json": 1},
    ), "a sum leaves its parts as they are"
    assert one.plus(InputTotals()) == InputTotals().plus(one) == one


def test_streams_beyond_the_limit_are_counted_together() -> None:
    """Bad data may name any number of streams: what is kept has a limit, and no dead letter is missing."""
    names: list[StreamName] = [("web", f"n{number:05d}") for number in range(MAX_STREAMS + 20)]
    parts = [letters(name, not_json=1, missing_stream=2) for name in names for _ in range(3)]
    random.Random(7).shuffle(parts)
    total = sum_totals(parts)
    assert total.rejected == 9 * len(names)
    assert len(total.streams) == MAX_STREAMS + 1
    assert sum(sum(reasons.values()) for reasons in total.streams.values()) == total.rejected
    assert total.streams[OTHERS]["missing_stream"] == 2 * total.streams[OTHERS]["not_json"] > 0
    known = set(total.streams) - {OTHERS}
    # a stream that has a place keeps it
    first = next(iter(known))
    more = total.plus(letters(first, not_json=10))
    assert more.streams[first]["not_json"] == total.streams[first]["not_json"] + 10
    assert more.streams[OTHERS] == total.streams[OTHERS]


def test_streams_up_to_the_limit_are_all_known() -> None:
    names: list[StreamName] = [("web", f"n{number:05d}") for number in range(MAX_STREAMS)]
    total = sum_totals(letters(name, not_json=1) for name in names)
    assert set(total.streams) == set(names)


def test_totals_of_a_stream_add_up() -> None:
    one = StreamTotals(
        domain="web", namespace="a", records=1, shards=2, raw_bytes=3, object_bytes=4, manifests=5,
        dead_letters={"not_json": 6},
    )  # fmt: skip
    other = StreamTotals(
        domain="web", namespace="a", records=10, shards=20, raw_bytes=30, object_bytes=40, manifests=50,
        dead_letters={"not_json": 60, "missing_stream": 70},
    )  # fmt: skip
    assert one.plus(other) == StreamTotals(
        domain="web", namespace="a", records=11, shards=22, raw_bytes=33, object_bytes=44, manifests=55,
        dead_letters={"not_json": 66, "missing_stream": 70},
    )  # fmt: skip


@pytest.mark.parametrize("known", [None, RunInput(files=3, bytes=300, positions={"a": 1, "b": 2})])
def test_what_was_known_of_the_input_completes_what_was_found(known: RunInput | None) -> None:
    found = RunInput(accepted=7, bytes=400, positions={"b": 3})
    if known is None:
        assert joined_input(known, found) == joined_input(found, known) == found
        return
    assert joined_input(known, found) == RunInput(accepted=7, files=3, bytes=400, positions={"a": 1, "b": 3})
    found = RunInput(accepted=7, files=4)
    assert joined_input(known, found) == RunInput(accepted=7, files=4, bytes=300, positions={"a": 1, "b": 2})
