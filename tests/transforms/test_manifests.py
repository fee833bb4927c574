"""The steps that write manifests: firings in their order, and nothing of a failed bundle."""

from __future__ import annotations

import threading
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.window import IntervalWindow

from beam_s3box.engine.manifests import Manifest, ManifestPlan, plan_manifests
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms.manifests import _WriteFirings, _WriteManifest
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
    values = [output.value for output in outputs if not isinstance(output, beam.pvalue.TaggedOutput)]
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
