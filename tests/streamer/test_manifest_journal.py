"""Manifests of a streamer: each uploaded file is in exactly one, also if it is killed between two steps."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import ConfigurationError, RecordError, TransientStoreError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader
from beam_s3box.testing import FailingStore
from tests.readback import read_back

Make = Callable[..., JsonBufferStreamer]
REDSHIFT: dict[str, Any] = {"format": "json-lines", "compression": "gzip"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def fill(streamer: JsonBufferStreamer, first: int) -> None:
    for namespace in "ab":
        streamer.open("web", namespace, size_limit=60)
    for i in range(first, first + 40):
        streamer.append("web", "ab"[i % 2], {"i": i})
    streamer.flush()


def listed(store: MemoryStore) -> list[int]:
    found = read_back(store)
    assert found.unlisted == []
    return sorted(record["i"] for record in found.all_records())


def test_each_call_lists_what_is_new(make: Make, store: MemoryStore, folder: pathlib.Path) -> None:
    streamer = make(StoreUploader(store), manifests=Manifests(count=2), **REDSHIFT)
    fill(streamer, 0)
    assert streamer.stats.unlisted_files > 2
    first = streamer.write_manifests()
    assert [(manifest.domain, manifest.namespace) for manifest in first] == [("web", n) for n in "aabb"]
    assert streamer.write_manifests() == []
    fill(streamer, 40)
    second = streamer.write_manifests()
    assert {manifest.key for manifest in first}.isdisjoint(manifest.key for manifest in second)
    assert sum(manifest.records for manifest in first + second) == 80
    assert listed(store) == list(range(80))
    assert streamer.stats.unlisted_files == 0
    assert os.listdir(folder) == ["lock"]


def test_manifests_over_all_streams(make: Make, store: MemoryStore) -> None:
    streamer = make(StoreUploader(store), manifests=Manifests(per="run"), **REDSHIFT)
    fill(streamer, 0)
    (manifest,) = streamer.write_manifests()
    assert (manifest.domain, manifest.records) == (None, 40)
    assert listed(store) == list(range(40))


def test_the_next_streamer_lists_what_an_earlier_one_uploaded(make: Make, store: MemoryStore) -> None:
    streamer = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    fill(streamer, 0)
    streamer.shut_down()
    again = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    fill(again, 40)
    again.write_manifests()
    assert listed(store) == list(range(80))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_call_that_fails_is_finished_by_the_next(make: Make, store: MemoryStore, restart: bool, when: Any) -> None:
    failing = StoreUploader(FailingStore(store, "manifests/*", succeed=1, fail=1, when=when))
    streamer = make(failing, manifests=Manifests(), **REDSHIFT)
    fill(streamer, 0)
    with pytest.raises(TransientStoreError):
        streamer.write_manifests()
    if restart:
        streamer.shut_down()
        streamer = make(failing, manifests=Manifests(), **REDSHIFT)
    fill(streamer, 40)
    assert sum(manifest.records for manifest in streamer.write_manifests()) == 80
    assert listed(store) == list(range(80))


def test_killed_after_the_listing_and_before_its_files_are_forgotten(
    make: Make, store: MemoryStore, folder: pathlib.Path
) -> None:
    failing = StoreUploader(FailingStore(store, "manifests/*", succeed=0, fail=1, when="before"))
    streamer = make(failing, manifests=Manifests(), **REDSHIFT)
    fill(streamer, 0)
    before = {path: path.read_bytes() for path in folder.glob("*.uploaded")}
    with pytest.raises(TransientStoreError):
        streamer.write_manifests()
    assert list(folder.glob("*.listing"))
    streamer.shut_down()
    for path, body in before.items():
        # as if it had been killed before these were removed
        path.write_bytes(body)
    again = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    assert sum(manifest.records for manifest in again.write_manifests()) == 40, "once, and not again unasked"
    assert listed(store) == list(range(40))
    assert again.write_manifests() == []
    assert os.listdir(folder) == ["lock"]


@pytest.mark.parametrize(
    ("uploader", "arguments", "message"),
    [
        (StoreUploader(MemoryStore("x")), {}, "manifests need format='json-lines' and compression='gzip'"),
        (print, REDSHIFT, "manifests need an uploader that knows its store"),
        (StoreUploader(MemoryStore("x")), {**REDSHIFT, "manifests": 2}, "must be a Manifests"),
    ],
)
def test_manifests_that_can_not_be(make: Make, uploader: Any, arguments: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(uploader, **{"manifests": Manifests(), **arguments})


def test_no_manifests(make: Make) -> None:
    with pytest.raises(ConfigurationError, match="manifests=None"):
        make().write_manifests()


def test_what_redshift_can_not_load_is_refused(make: Make, store: MemoryStore) -> None:
    streamer = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    streamer.open("web", "a")
    with pytest.raises(RecordError, match="NUL"):
        streamer.append("web", "a", {"x": "\0"})
    with pytest.raises(RecordError, match="4000000"):
        streamer.append("web", "a", {"x": "x" * 4_000_000})
