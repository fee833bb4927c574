"""The packer: every line in one listed shard or among the dead letters, and nothing listed after a failure."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box import metrics
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.line_packer import LinePacker
from beam_s3box.engine.manifests import Manifests
from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.run_reader import find_run
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.engine.shard_builder import DEFAULT_BUDGET_BYTES
from beam_s3box.errors import ConfigurationError, RecordError, RunExistsError, StoreError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.selector import StreamSelector
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.limits import StreamLimits, limits_by_stream
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.system.threads import Threads
from beam_s3box.testing import FailingStore
from tests.readback import read_back
from tests.sweeps import Late, hangs_are_found, raises_at


class FullStore(MemoryStore):
    """Takes so many shards, and then no more."""

    def __init__(self, name: str, shards: int) -> None:
        super().__init__(name)
        self.left = shards

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if key.startswith("data/"):
            self.left -= 1
            if self.left < 0:
                raise StoreError(f"PutObject {self.url(key)} failed after 3 attempts: SlowDown (503)")
        return super().put(key, body, **arguments)


def plan_for(store: MemoryStore, run_id: str = "run", **limits: int) -> RunPlan:
    layout = Layout(run_id)
    return RunPlan(
        store=store,
        layout=layout,
        format=JSON_LINES,
        selector=StreamSelector(domain_field="d", namespace_field="n"),
        rules=record_rules(for_redshift=True),
        limits_of=limits_by_stream(StreamLimits(**limits)),
        manifests=Manifests(),
        claim=RunClaim(layout, new_token(32)),
    )


def memory() -> MemoryStore:
    return MemoryStore(new_token(16))


def lines(count: int, streams: int = 3) -> list[bytes]:
    return [json.dumps({"d": "d", "n": f"n{i % streams}", "i": i}).encode() for i in range(count)]


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(0, 200),
    streams=st.integers(1, 30),
    batch=st.integers(1, 50),
    limit=st.integers(1, 20),
    budget=st.sampled_from([DEFAULT_BUDGET_BYTES, 500, 5_000]),
)
def test_every_line_is_listed_once_also_under_pressure(
    count: int, streams: int, batch: int, limit: int, budget: int
) -> None:
    store = memory()
    records = lines(count, streams)
    with LinePacker(dataclasses.replace(plan_for(store, max_records=limit), budget=budget), MemoryMetrics()) as packer:
        for start in range(0, count, batch):
            packer.pack(records[start : start + batch])
        packed = packer.finish()
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(count))
    assert found.unlisted == []
    assert packed.records_in == sum(manifest.records for manifest in packed.manifests) == count
    assert all(file.records <= limit for file in packed.shards)


def test_order_within_a_stream_is_kept() -> None:
    store = memory()
    with LinePacker(plan_for(store), MemoryMetrics()) as packer:
        for start in range(0, 1000, 100):
            packer.pack(lines(1000)[start : start + 100])
        packer.finish()
    for records in read_back(store).records.values():
        assert [record["i"] for record in records] == sorted(record["i"] for record in records)


def test_what_can_not_be_packed_is_a_dead_letter_and_counted() -> None:
    store, counts = memory(), MemoryMetrics()
    with LinePacker(plan_for(store), counts) as packer:
        packer.pack([*lines(5), b"no json", b"[1]", b'{"d":"d"}'])
        packed = packer.finish()
    assert (packed.records_in, packed.dead_letters) == (8, 3)
    assert [letter["reason"] for letter in read_back(store).dead_letters] == [
        "not-json",
        "not-an-object",
        "missing-stream",
    ]
    totals = counts.totals()
    assert totals[metrics.RECORDS_IN] == totals[metrics.RECORDS_LISTED] + totals[metrics.DEAD_LETTERS] == 8
    assert totals["dead_letters_not_json"] == 1


def test_a_bad_record_is_an_error_where_that_is_asked_for() -> None:
    store = memory()
    plan = dataclasses.replace(plan_for(store), fail_on_bad_record=True)
    with (
        pytest.raises(RecordError, match=r"not-json: .*the record begins b'no json'"),
        LinePacker(plan, MemoryMetrics()) as packer,
    ):
        packer.pack([*lines(5), b"no json"])
    assert read_back(store).manifests == {}


def test_a_failed_upload_raises_and_nothing_is_listed() -> None:
    store = FullStore(new_token(16), 2)

    def pack_all() -> None:
        with LinePacker(plan_for(store, max_records=5), MemoryMetrics()) as packer:
            packer.pack(lines(100))
            packer.finish()

    with pytest.raises(StoreError, match="SlowDown"):
        pack_all()
    found = read_back(store)
    assert found.manifests == {}
    assert len(found.unlisted) == 2


def test_leaving_without_finish_lists_nothing() -> None:
    store = memory()
    with LinePacker(plan_for(store), MemoryMetrics()) as packer:
        packer.pack(lines(10))
    assert read_back(store).manifests == {}


def test_a_packer_that_ended_takes_nothing() -> None:
    with LinePacker(plan_for(memory()), MemoryMetrics()) as packer:
        packer.finish()
        for call in (lambda: packer.pack(lines(1)), packer.finish):
            with pytest.raises(ConfigurationError, match="has ended"):
                call()


def test_a_run_id_is_used_once() -> None:
    store = memory()
    with LinePacker(plan_for(store), MemoryMetrics()) as packer:
        packer.pack(lines(10))
        packer.finish()
    with (
        LinePacker(plan_for(store), MemoryMetrics()) as packer,
        pytest.raises(RunExistsError, match="run_id='run' already finished a run"),
    ):
        packer.pack(lines(11))


def test_nothing_packed_is_a_finished_run_of_nothing() -> None:
    store = memory()
    with LinePacker(plan_for(store), MemoryMetrics()) as packer:
        assert packer.finish() == (0, [], [], InputTotals())
    [info] = store.list()
    record = RunRecord.parse(info.key, store.get(info.key))
    assert (record.state, record.shards, record.manifests) == ("finished", 0, ())


@pytest.mark.parametrize(("manifests", "expected"), [(Manifests("run", 2), 2), (Manifests("stream", 2), 6)])
def test_manifests_by_scope_and_number(manifests: Manifests, expected: int) -> None:
    store = memory()
    with LinePacker(
        dataclasses.replace(plan_for(store, max_records=5), manifests=manifests), MemoryMetrics()
    ) as packer:
        packer.pack(lines(100))
        assert len(packer.finish().manifests) == expected
    assert len(read_back(store).all_records()) == 100


def test_without_manifests_a_run_is_claimed_and_finished_too() -> None:
    store = memory()
    plan = dataclasses.replace(plan_for(store), manifests=None, format=JSON_ARRAY)
    with LinePacker(plan, MemoryMetrics()) as packer:
        packer.pack(lines(10))
        packed = packer.finish()
    assert (len(packed.shards), packed.manifests) == (3, [])
    run = find_run(store)
    assert (run.record.state, run.record.shards, run.record.size.records) == ("finished", 3, 10)
    assert sorted(listed.shard for listed in run.shards()) == sorted(packed.shards)


def test_nothing_is_listed_after_a_failure_whatever_is_called_next() -> None:
    store = FullStore(new_token(16), shards=2)
    with LinePacker(plan_for(store, max_records=5), MemoryMetrics()) as packer:
        with pytest.raises(StoreError, match="SlowDown"):  # noqa: PT012 - it comes with one of the calls
            for start in range(0, 200, 20):
                packer.pack(lines(200)[start : start + 20])
            packer.finish()
        for call in (lambda: packer.pack(lines(5)), packer.finish):
            with pytest.raises(ConfigurationError, match="broke off"):
                call()
    assert read_back(store).manifests == {}


def test_a_finish_that_is_called_again_writes_the_same_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """They say when the shards were listed: with another time they would be other objects, and the first ones litter."""
    memory_store = memory()
    store = FailingStore(memory_store, keys="runs/*.json", succeed=1, fail=1)
    with LinePacker(plan_for(store), MemoryMetrics()) as packer:  # type: ignore[arg-type]
        packer.pack(lines(5))
        monkeypatch.setattr("beam_s3box.engine.line_packer.wall_seconds", lambda: 9e8)
        with pytest.raises(StoreError):
            packer.finish()
        listed = [info.key for info in memory_store.list("runs/")]
        monkeypatch.setattr("beam_s3box.engine.line_packer.wall_seconds", lambda: 1e9)
        assert packer.finish().records_in == 5
    assert [info.key for info in memory_store.list("runs/")] == listed
    assert {shard.listed for shard in find_run(memory_store).shards()} == {9e8}
    with pytest.raises(ConfigurationError, match="has ended"):
        packer.finish()


@pytest.mark.parametrize("name", ["pack", "finish", "close"])
def test_raised_at_every_line(name: str, note: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    # else the threads of 1,000 packers are idle at the same time
    monkeypatch.setattr(Threads.__init__, "__defaults__", (0.1,))
    ends: collections.Counter[str] = collections.Counter()
    for point in itertools.count(1):
        store = memory()
        packer = LinePacker(plan_for(store, max_records=3), MemoryMetrics())
        packer.pack(lines(4))
        call = {"pack": lambda: packer.pack(lines(12)[4:]), "finish": packer.finish, "close": packer.close}[name]  # noqa: B023
        expected = {4, 12} if name == "pack" else {4}
        with hangs_are_found():
            try:
                if not raises_at(point, call):
                    break
            except Late:
                pass
            try:
                packer.finish()
                ends["listed"] += 1
            except ConfigurationError as exc:
                ends["aborted"] += 1
                # that it broke off when all was listed is an error, too
                expected = {4} if "has ended" in str(exc) and name == "finish" else {0}
        numbers = [record["i"] for record in read_back(store).all_records()]
        assert len(numbers) == len(set(numbers)), "duplicated"
        assert len(numbers) in expected
    note(f"{name} of the line packer: raised at {point - 1} lines: {dict(ends)}")
    assert ends["listed"] + ends["aborted"] > 0


def test_a_forked_process_can_not_use_it() -> None:
    store = memory()
    packer = LinePacker(plan_for(store), MemoryMetrics())
    packer.pack(lines(5))
    child = os.fork()
    if not child:
        code = 1
        try:
            with hangs_are_found(), pytest.raises(ConfigurationError, match="forked"):
                packer.finish()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert packer.finish().records_in == 5


def test_the_run_id_is_claimed_before_the_manifests() -> None:
    store = FailingStore(memory(), keys="manifests/*")
    plan = plan_for(store)  # type: ignore[arg-type]
    with LinePacker(plan, MemoryMetrics()) as packer:
        packer.pack(lines(5))
        with pytest.raises(StoreError):
            packer.finish()
        assert plan.claim.check_held(store).state == "running"
