"""Files of another format or bucket that an earlier streamer left: uploaded, and listed only where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import TransientStoreError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader
from beam_s3box.testing import FailingStore
from tests.readback import read_back
from tests.streamer.numbered_records import fill

Make = Callable[..., JsonBufferStreamer]
REDSHIFT: dict[str, Any] = {"format": "json-lines", "compression": "gzip"}


def test_other_formats_are_uploaded_and_not_listed(make: Make, reported: list[Any]) -> None:
    store = MemoryStore(new_token(12))
    first = make(StoreUploader(FailingStore(store, "data/*", succeed=0, fail=100, when="before")))
    fill(first, 0, 2)
    first.append("web", "a", {"x": "nul \0"})
    first.shut_down()
    assert reported == []
    second = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    assert "1 file that a streamer with other settings left" in str(reported[0])
    assert "format='json-array'" in str(reported[0])
    fill(second, 2, 2)
    second.flush()
    assert [manifest.records for manifest in second.write_manifests()] == [2]
    assert len(read_back(store).unlisted) == 1
    assert second.stats.unlisted_files == 0


@pytest.mark.parametrize("when", ["uploaded", "listed"])
def test_what_is_in_another_bucket_is_kept_for_a_streamer_of_that_bucket(
    make: Make, reported: list[Any], when: str
) -> None:
    one, other = MemoryStore(new_token(12)), MemoryStore(new_token(12))
    failing = FailingStore(one, "manifests/*", succeed=0, fail=1, when="before")
    first = make(StoreUploader(failing), manifests=Manifests(), **REDSHIFT)
    fill(first, 0, 3)
    first.flush()
    if when == "listed":
        with pytest.raises(TransientStoreError):
            first.write_manifests()
    first.shut_down()
    second = make(StoreUploader(other), manifests=Manifests(), **REDSHIFT)
    assert f"uploaded to {one.root}/data/web/a/" in str(reported[0])
    fill(second, 3, 1)
    second.flush()
    assert [manifest.records for manifest in second.write_manifests()] == [1]
    second.shut_down()
    third = make(StoreUploader(one), manifests=Manifests(), **REDSHIFT)
    assert sum(manifest.records for manifest in third.write_manifests()) == 3
    for store, records in ((one, [0, 1, 2]), (other, [3])):
        found = read_back(store)
        assert sorted(record["i"] for record in found.all_records()) == records
        assert found.unlisted == []
    assert len(reported) == 1


def test_a_file_that_goes_to_another_bucket_is_listed_there(make: Make, reported: list[Any]) -> None:
    one, other = MemoryStore(new_token(12)), MemoryStore(new_token(12))
    failing = FailingStore(one, "data/*", succeed=0, fail=9, when="before")
    first = make(StoreUploader(failing), manifests=Manifests(), **REDSHIFT)
    fill(first, 0, 3)
    assert len(first.shut_down()) == 1
    second = make(StoreUploader(other), manifests=Manifests(), **REDSHIFT)
    second.flush()
    second.write_manifests()
    assert len(list(read_back(other).all_records())) == 3
    assert reported == []
