"""Many threads pack into one S3Box, seal it and ask for its manifests: nothing is lost, and all get the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import BoxSealedError
from beam_s3box.stores import MemoryStore
from tests.box.packed_rows import ids, listed, rows


@pytest.mark.parametrize("many", [False, True])
def test_many_threads_lose_nothing(store: MemoryStore, many: bool) -> None:
    box = S3Box(store, buffer_size=5_000)
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        part = rows(500, start=number * 500)
        if many:
            box.pack_many(part)
        else:
            for row in part:
                box.pack(row)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    keys = box.create_manifests("m", 3)
    assert ids(listed(store, keys)) == list(range(4_000))
    assert box.stats.records == 4_000


def test_threads_that_seal_and_pack_agree_on_what_was_packed(store: MemoryStore) -> None:
    box = S3Box(store, buffer_size=500)
    packed: list[int] = []

    def work(number: int) -> None:
        for row in rows(2_000, start=number * 2_000):
            try:
                box.pack(row)
            except BoxSealedError:
                return
            packed.append(row["i"])
            if row["i"] == 2_300:
                box.seal()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert ids(listed(store, box.create_manifests("m"))) == sorted(packed)


def test_many_threads_that_ask_for_manifests_get_the_same(store: MemoryStore) -> None:
    box = S3Box(store, max_records=10)
    box.pack_many(rows(100))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: box.create_manifests("m", 3), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert ids(listed(store, answers[0])) == list(range(100))
