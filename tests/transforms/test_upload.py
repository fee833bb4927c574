"""The upload step: what a failed bundle leaves behind, and what the next one must not emit."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.errors import TransientStoreError
from beam_s3box.formats import JSON_LINES
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import SealedShard, ShardFile
from beam_s3box.shards.packing import BY_BUNDLE_END
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.testing import FailingStore
from beam_s3box.transforms.upload import UploadKeyedShards, UploadShards
from tests.transforms.plans import write_plan

WINDOWS = [IntervalWindow(0, 60), IntervalWindow(60, 120)]


class SlowStore(MemoryStore):
    """Writes nothing until it is released, and reports when a write has started."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.begun, self.go = threading.Event(), threading.Event()

    def put(self, *arguments: Any, **named: Any) -> int:
        self.begun.set()
        assert self.go.wait(60)
        return super().put(*arguments, **named)


@pytest.fixture
def store() -> SlowStore:
    return SlowStore(new_token(12))


def shard(number: int, window: str = "w") -> SealedShard:
    segments = (JSON_LINES.cut([b'{"i":%d}' % number]),)
    return SealedShard(Stream("d", "n"), window, "origin", number, BY_BUNDLE_END, segments)


def begun(step: Any) -> Any:
    step.setup()
    step.start_bundle()
    return step


def keys(store: MemoryStore) -> list[int]:
    return sorted(int(info.key.split("-origin-")[1][:5]) for info in store.list())


def test_a_bundle_does_not_emit_what_one_that_broke_off_had_queued(store: SlowStore) -> None:
    """Its shards are sealed again when the bundle is repeated: otherwise they would be listed twice."""
    step = begun(UploadShards(write_plan(store, upload_concurrency=1)))
    assert list(step.process(shard(1), WINDOWS[0])) == []
    step.start_bundle()
    assert list(step.process(shard(2, "v"), WINDOWS[1])) == []
    store.go.set()
    [file] = step.finish_bundle()
    assert (file.value.window, file.windows) == ("v", (WINDOWS[1],))
    assert list(step.finish_bundle()) == []


def test_what_a_bundle_that_broke_off_had_not_begun_is_never_uploaded(store: SlowStore) -> None:
    step = begun(UploadShards(write_plan(store, upload_concurrency=1)))
    for number in range(3):
        assert list(step.process(shard(number), WINDOWS[0])) == []
    assert store.begun.wait(60)
    step.teardown()
    store.go.set()
    # on the same thread, behind all that was queued before
    other = begun(UploadShards(write_plan(store, upload_concurrency=1)))
    list(other.process(shard(9), WINDOWS[0]))
    assert len(list(other.finish_bundle())) == 1
    assert keys(store) == [0, 9]


def test_files_are_in_their_windows_at_their_last_moments(store: SlowStore) -> None:
    store.go.set()
    step = begun(UploadShards(write_plan(store, upload_concurrency=1)))
    outputs = [*step.process(shard(0, "v"), WINDOWS[0]), *step.process(shard(1), WINDOWS[1]), *step.finish_bundle()]
    assert [(output.value.window, output.windows, output.timestamp) for output in outputs] == [
        (name, (window,), window.max_timestamp()) for name, window in zip(("v", "w"), WINDOWS, strict=True)
    ]


def test_keyed_files_carry_their_window_and_time_on(store: SlowStore) -> None:
    store.go.set()
    step = begun(UploadKeyedShards(write_plan(store, upload_concurrency=1)))
    outputs: list[WindowedValue] = [*step.process((b"window", shard(0)), Timestamp(59)), *step.finish_bundle()]
    [output] = outputs
    encoded, file = output.value
    assert isinstance(file, ShardFile)
    assert (encoded, output.timestamp) == (b"window", Timestamp(59))


def test_an_upload_that_fails_fails_the_bundle_and_not_the_next_one(store: SlowStore) -> None:
    store.go.set()
    broken = dataclasses.replace(write_plan(store, upload_concurrency=1), store=FailingStore(store, succeed=1, fail=1))
    step = begun(UploadShards(broken))
    with pytest.raises(TransientStoreError):  # noqa: PT012 - any of these calls may be the one
        for number in range(3):
            list(step.process(shard(number), WINDOWS[0]))
        list(step.finish_bundle())
    step.start_bundle()
    list(step.process(shard(9), WINDOWS[0]))
    assert [file.value.records for file in step.finish_bundle()] == [1]
