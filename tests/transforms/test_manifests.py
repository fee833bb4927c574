"""The steps that write manifests: firings in their order, and nothing of a failed bundle."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from apache_beam.transforms.window import IntervalWindow

from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import Manifest, ManifestPlan, Manifests, plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.shard_rows import ShardRows
from beam_s3box.errors import IncompleteRunError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms.finish import _NO_MANIFEST, _Finish
from beam_s3box.transforms.manifests import _PlanManifests, _WriteFirings, _WriteManifest
from tests.transforms.plans import write_plan

WINDOW = IntervalWindow(0, 60)


class Ordered(MemoryStore):
    """Delays the first manifest of the stream a until the stream b has its own; records who writes in between."""

    def __init__(self) -> None:
        super().__init__(new_token(12))
        self.written: list[str] = []
        self.b, self.overtaken = threading.Event(), threading.Event()

    def put(self, key: str, *arguments: Any, **named: Any) -> int:
        if "/a/" in key:
            if not self.written:
                self.written.append(key)
                assert self.b.wait(60), "another stream does not wait for this one"
                assert not self.overtaken.wait(0.2)
            else:
                self.overtaken.set()
                self.written.append(key)
        result = super().put(key, *arguments, **named)
        if "/b/" in key:
            self.b.set()
        return result


class Cell:
    """The value state of one key."""

    value: Any = None

    def read(self) -> Any:
        return self.value

    def write(self, value: Any) -> None:
        self.value = value


def listing(name: str, number: int, pane: int = 0) -> ManifestPlan:
    key = f"data/d/{name}/{number}"
    file = ShardFile("d", name, "w", f"memory://x/{key}", key, number, number, number, "", "records")
    return plan_manifests(Stream("d", name), "w", pane, [file], 1)[0]


def begun(step: Any) -> Any:
    step.setup()
    step.start_bundle()
    return step


def manifests_of(outputs: Any) -> list[Manifest]:
    values = [output.value for output in outputs if not isinstance(output.value, ShardRows)]
    return [value if isinstance(value, Manifest) else value[1] for value in values]


def test_firings_of_a_stream_are_numbered_and_written_as_they_come_and_streams_at_a_time() -> None:
    """If a later one was written first, the earlier one would withdraw it, and its records would be listed nowhere."""
    store = Ordered()
    plan = write_plan(store, unbounded=True, upload_concurrency=4)
    step, lineages = begun(_WriteFirings(plan)), {"a": Cell(), "b": Cell()}
    encoded = plan.windows.encode(WINDOW)
    for name, pane in (("a", 2), ("a", 0), ("a", 1), ("b", 0)):  # runners deliver panes in any order
        step.process((("d", name), (encoded, [listing(name, pane + 1, pane)])), lineages[name])
    manifests = manifests_of(step.finish_bundle())
    of_a = [manifest for manifest in manifests if manifest.namespace == "a"]
    assert [manifest.records for manifest in of_a] == [3, 1, 2]
    assert [manifest.key for manifest in of_a] == store.written == sorted(store.written)
    assert lineages["a"].value[0] == 3


@pytest.mark.parametrize("unbounded", [True, False])
def test_a_bundle_writes_nothing_of_one_that_broke_off(unbounded: bool) -> None:
    """A runner repeats its work: a second manifest would list the same shards."""
    store = MemoryStore(new_token(12))
    plan = write_plan(store, unbounded=unbounded)
    step = begun((_WriteFirings if unbounded else _WriteManifest)(plan))

    def process(name: str) -> None:
        if unbounded:
            step.process((("d", name), (plan.windows.encode(WINDOW), [listing(name, 1)])), Cell())
        else:
            step.process((("d", name, 0), [listing(name, 1)]), WINDOW)

    process("left")
    step.start_bundle()
    process("own")
    assert [manifest.namespace for manifest in manifests_of(step.finish_bundle())] == ["own"]
    assert [info.key.split("/")[3] for info in store.list("manifests/")] == ["own"]


@pytest.mark.parametrize(("together", "numbers"), [(True, {0}), (False, {0, 1, 2})])
def test_plans_of_a_stream_have_one_key_where_bundles_are_repeated(together: bool, numbers: set[int]) -> None:
    """Two executions plan differently: those of one and those of the other must not be combined."""
    files = [file for number in range(3) for file in listing("a", number).files]
    step = _PlanManifests(3, write_plan(MemoryStore(new_token(12))).windows, keeps_together=together)
    planned = list(step.process((("d", "a"), files), WINDOW))
    assert {key for key, _ in planned} == {("d", "a", number) for number in numbers}
    assert [plan.number for _, plan in planned] == [0, 1, 2]


def test_plans_that_come_together_are_written_apart() -> None:
    store = MemoryStore(new_token(12))
    step = begun(_WriteManifest(write_plan(store)))
    files = [file for number in range(3) for file in listing("a", number).files]
    plans = plan_manifests(Stream("d", "a"), "w", 0, files, 2)
    step.process((("d", "a", 0), [*plans, plans[0]]), WINDOW)
    manifests = manifests_of(step.finish_bundle())
    assert [(manifest.key[-14:], manifest.shards) for manifest in manifests] == [
        ("00000.manifest", 1),
        ("00001.manifest", 2),
    ]


@pytest.mark.parametrize(("accepted", "listed"), [(3, 2), (3, 4), (1, 0)])
def test_a_run_whose_shards_have_other_records_than_it_accepted_does_not_count(accepted: int, listed: int) -> None:
    store = MemoryStore(new_token(12))
    plan = write_plan(store, manifests=Manifests())
    manifest = Publisher.begin(store, plan.claim).describe(listing("a", listed)) if listed else _NO_MANIFEST
    rows = [(plan.windows.encode(WINDOW), manifest, None), (b"", _NO_MANIFEST, InputTotals(accepted=accepted))]
    with pytest.raises(
        IncompleteRunError, match=rf"run run accepted {accepted} records?, and its shards have {listed}:"
    ):
        list(_Finish(plan).process(("", rows)))
    record = json.loads(store.get("runs/run.json"))
    assert record["state"] == "failed"
    assert "IncompleteRunError" in record["error"]
