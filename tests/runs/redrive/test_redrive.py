"""Redrives: each dead letter once, whatever fails, whoever else does the same, however often it is called."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError, RunExistsError, S3BoxError, StoreError
from beam_s3box.records.event_times import EventTimes
from beam_s3box.runs.redrive.fix import Fix
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.testing import FailingStore
from tests.runs.redrive.runs_with_letters import (
    BAD,
    GOOD,
    NO_JSON,
    NO_KIND,
    NO_OBJECT,
    PARENT,
    check_each_once,
    children,
    listed,
    mend,
    pack,
    raws,
    redrive,
    spec_for,
)

MENDED = Fix(mend)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token())


def test_what_is_good_now_is_listed_and_the_rest_are_dead_letters_of_the_new_run(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    [one] = redrive(run, fix=MENDED).do()
    assert one.packed is not None
    assert (one.packed.records_in, one.packed.dead_letters) == (len(BAD), len(NO_JSON) + len(NO_OBJECT))
    child = find_run(store, one.run_id)
    assert (child.record.kind, child.record.parent) == ("redrive", PARENT)
    assert sorted(record["i"] for record in listed(store, child)) == list(range(100, 107))
    assert raws(child) == collections.Counter([*NO_JSON, *NO_OBJECT])
    assert run.record.input is not None
    assert child.record.input is not None
    assert run.record.input.rejected == child.record.input.accepted + child.record.input.rejected
    check_each_once(store)
    assert sorted(record["i"] for record in listed(store, find_run(store, PARENT))) == list(range(10))


def test_called_again_it_does_nothing(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    [first] = redrive(run, fix=MENDED).do()
    before = sorted(info.key for info in store.list())
    for _ in range(2):
        [again] = redrive(run, fix=MENDED).do()
        assert (again.run_id, again.packed) == (first.run_id, None)
    assert sorted(info.key for info in store.list()) == before


def test_some_reasons_then_the_rest(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    [one] = redrive(run, fix=MENDED, reasons=("missing-stream",)).do()
    assert one.packed is not None
    assert (one.packed.records_in, one.packed.dead_letters) == (7, 0)
    two = redrive(run, fix=MENDED).do()
    assert two[0].run_id == one.run_id
    assert [None if each.packed is None else each.packed.records_in for each in two] == [None, 8]
    assert sorted(two[1].selection.files) == ["not-an-object", "not-json"]
    check_each_once(store)
    [three] = redrive(run, reasons=("not-json",)).do()
    assert three.run_id == two[1].run_id


def test_a_redrive_is_redriven(store: MemoryStore) -> None:
    """Dead letters keep their place in the first input, and their text, through any number of runs."""
    run = pack(store, [*GOOD, *BAD])
    for _ in range(3):
        [one] = redrive(run, fix=Fix(lambda letter: letter.raw.replace(b"bad", b"worse"))).do()
        assert one.packed is not None
        run = find_run(store, one.run_id)
        assert raws(run) == collections.Counter(BAD)
    [last] = redrive(run, fix=MENDED, reasons=("missing-stream",)).do()
    child = find_run(store, last.run_id)
    assert sorted(record["i"] for record in listed(store, child)) == list(range(100, 107))
    [key] = [info.key for info in run.dead_letter_files()]
    places = [(letter["source"], letter["line"]) for letter in letters_of(store, key)]
    assert sorted(places) == [("in.jsonl", line) for line in range(11, 26)]


def letters_of(store: MemoryStore, key: str) -> list[dict[str, Any]]:
    import gzip

    return [json.loads(line) for line in gzip.decompress(store.get(key)).splitlines()]


def test_with_other_settings_and_no_function(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    other = spec_for(selector=dataclasses.replace(spec_for().selector, namespace_field="kynd"))
    redrive(run, spec=other).do()
    check_each_once(store)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("reasons", [None, ("missing-stream",)])
def test_each_write_fails_once_and_it_is_called_again(when: Any, reasons: tuple[str, ...] | None) -> None:
    tried = 0
    for succeed in itertools.count():
        store = MemoryStore(new_token())
        run = pack(store, [*GOOD, *BAD])
        failing = FailingStore(store, succeed=succeed, fail=1, when=when)
        try:
            redrive(run, failing, fix=MENDED, reasons=reasons).do()
        except (StoreError, S3BoxError):
            tried += 1
        else:
            break
        redrive(run, fix=MENDED, reasons=reasons).do()
        redrive(run, fix=MENDED).do()
        check_each_once(store)
    assert tried >= 5


class Meeting(MemoryStore):
    """Another redrive does all of its work when this one sends its n-th request."""

    def __init__(self, name: str, at: int, other: Callable[[], object]) -> None:
        super().__init__(name)
        self.left = at
        self._other = other

    def _meet(self) -> None:
        self.left -= 1
        if self.left == 0:
            self._other()

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        self._meet()
        return super().put(key, body, **arguments)

    def get(self, key: str) -> bytes:
        self._meet()
        return super().get(key)

    def read(self, key: str) -> Any:
        self._meet()
        return super().read(key)


@pytest.mark.parametrize("others", [None, ("missing-stream",), ("not-json", "not-an-object")])
def test_two_at_the_same_time(others: tuple[str, ...] | None) -> None:
    """The second one comes between any two requests of the first: it is done by one of them, and the other one fails."""
    outcomes: collections.Counter[str] = collections.Counter()
    for at in itertools.count(1):
        name = new_token()
        store = MemoryStore(name)
        run = pack(store, [*GOOD, *BAD])
        meeting = Meeting(name, at, lambda run=run: redrive(run, fix=MENDED, reasons=others).do())  # type: ignore[misc]
        try:
            redrive(run, meeting, fix=MENDED).do()
            outcomes["done"] += 1
        except RunExistsError:
            outcomes["superseded"] += 1
        if meeting.left > 0:
            break
        redrive(run, fix=MENDED).do()
        check_each_once(store)
    assert outcomes["done"] > 3


def test_a_function_that_fails_leaves_the_record_as_it_was(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *NO_KIND])
    results: list[Any] = [None, 7, "[]", b"{}", b"", {"kind": {1}}, ValueError]

    def odd(letter: Any) -> Any:
        result = results[json.loads(letter.raw)["i"] - 100]
        if isinstance(result, type):
            raise result("too bad")
        return result

    [one] = redrive(run, fix=Fix(odd)).do()
    assert one.packed is not None
    reasons = {reason.reason: (reason.records, reason.detail) for reason in one.packed.totals.sorted_reasons()}
    assert reasons["map-failed"][0] == 3
    assert {name: number for name, (number, _) in reasons.items()} == {
        "map-failed": 3,
        "not-an-object": 2,
        "missing-stream": 1,
        "unsupported-value": 1,
    }
    assert raws(find_run(store, one.run_id)) == collections.Counter(NO_KIND)


def test_text_that_is_not_the_record_is_not_taken_for_it(store: MemoryStore) -> None:
    """The dead letter of a value without JSON holds the value's repr: without a function it stays bad."""
    from beam_s3box.engine.line_packer import LinePacker
    from beam_s3box.metrics import MemoryMetrics
    from beam_s3box.records.batches import LineBatch
    from beam_s3box.records.rejected_lines import RejectedLines

    plan = spec_for(run_id=PARENT).plan(store)
    with LinePacker(plan, MemoryMetrics()) as packer:
        packer.pack(GOOD)
        text = [b'{"kind": "k0", "i": 100, "x": "<object>"}']
        packer.pack(RejectedLines("unsupported-value", "an object", LineBatch(text, "in.jsonl", [11])))
        packer.finish()
    run = find_run(store, PARENT)
    [one] = redrive(run).do()
    assert one.packed is not None
    assert one.packed.totals.reasons["unsupported-value"].detail == "an object"
    [two] = redrive(find_run(store, one.run_id), fix=Fix(lambda letter: letter.raw)).do()
    assert two.packed is not None
    assert two.packed.dead_letters == 0


def test_windows_by_event_time(store: MemoryStore) -> None:
    lines = [b'{"kynd": "k0", "i": %d, "at": "2024-01-0%d"}' % (100 + i, 1 + i % 2) for i in range(6)]
    run = pack(store, [*GOOD, *lines, b'{"kynd": "k0", "i": 1}'])
    template = "data/{domain}/{namespace}/dt={window_start:%Y-%m-%d}/{run_id}-{origin}-{sequence}-{digest}{extension}"
    spec = spec_for(times=EventTimes("at", 86_400), key_template=template)
    [one] = redrive(run, spec=spec, fix=MENDED).do()
    assert one.packed is not None
    assert sorted({file.key.split("/")[3] for file in one.packed.shards}) == ["dt=2024-01-01", "dt=2024-01-02"]
    assert [reason.reason for reason in one.packed.totals.sorted_reasons()] == ["missing-timestamp"]
    check_each_once(store, [*lines, b""], lines)
    assert len({manifest.window for manifest in find_run(store, one.run_id).manifests()}) == 2


def test_a_run_that_does_not_count_is_refused(store: MemoryStore) -> None:
    plan = spec_for(run_id=PARENT).plan(store)
    plan.claim.take(store)
    with pytest.raises(ConfigurationError, match="run_id='parent' has not finished: nothing of it counts"):
        redrive(find_run(store, PARENT)).do()
    plan.claim.fail(store, "x")
    with pytest.raises(ConfigurationError, match="run_id='parent' failed: nothing of it counts"):
        redrive(find_run(store, PARENT)).do()


def test_a_reason_that_the_run_does_not_have_is_named_with_those_that_it_has(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    with pytest.raises(ConfigurationError) as caught:
        redrive(run, reasons=("missing-streams",)).do()
    assert "has no dead letters of this reason; it has missing-stream (7), not-an-object (3), not-json (5)" in str(
        caught.value
    )


def test_a_run_without_dead_letters_has_nothing_to_redrive(store: MemoryStore) -> None:
    assert redrive(pack(store, GOOD)).do() == []


def test_settings_that_can_not_work_select_nothing(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    template = "data/{domain}/{namespace}/{window_start:%Y}/{run_id}-{origin}-{sequence}-{digest}{extension}"
    with pytest.raises(ConfigurationError, match="global window"):
        redrive(run, spec=spec_for(key_template=template)).do()
    assert not any("redrives" in info.key for info in store.list())


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(st.binary(min_size=1, max_size=12).filter(lambda raw: raw.strip() != b""), max_size=30),
    has_source=st.booleans(),
)
def test_any_dead_letters_come_back_byte_by_byte(lines: list[bytes], has_source: bool) -> None:
    store = MemoryStore(new_token())
    lines = [line for line in lines if b"\n" not in line and b"\r" not in line]
    run = pack(store, [*GOOD, *lines], "in.jsonl" if has_source else "")
    seen: list[bytes] = []
    done = redrive(run, fix=Fix(lambda letter: seen.append(letter.raw))).do()
    assert sorted(seen) == sorted(lines)
    assert [one.packed.dead_letters for one in done if one.packed] == ([len(lines)] if lines else [])


def test_children_are_named_by_their_parent(store: MemoryStore) -> None:
    run = pack(store, [*GOOD, *BAD])
    redrive(run).do()
    assert [child.record.parent for child in children(store)] == [PARENT]
