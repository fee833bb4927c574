"""Dead letters keep everything there was."""

from __future__ import annotations

import collections
import gzip
import json
import random
import tracemalloc
from typing import Any

import pytest

from beam_s3box.engine.dead_letters import DeadLetter, DeadLetterFiles, accept_dead_letters
from beam_s3box.errors import RecordError, StoreError
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.routing import RejectedRecord
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores.memory import MemoryStore


def test_text_stays_text_and_other_bytes_are_hexadecimal() -> None:
    text = DeadLetter.of(RejectedRecord(Stream("a", "b"), "not-json", "why", "{é".encode()))
    assert json.loads(text.line()) == {
        "domain": "a", "namespace": "b", "reason": "not-json", "detail": "why", "raw": "{é",
    }  # fmt: skip
    other = DeadLetter.of(RejectedRecord(None, "invalid-utf8", "why \udcff", b"\xff\x00"))
    assert json.loads(other.line()) == {
        "domain": None, "namespace": None, "reason": "invalid-utf8", "detail": "why \\udcff", "raw_hex": "ff00",
    }  # fmt: skip


def test_a_file_holds_one_line_each() -> None:
    store = MemoryStore(new_token(12))
    letters = [DeadLetter("a", "b", "not-json", "why", b"%d" % number) for number in range(3)]
    files = DeadLetterFiles(store, Layout("run"), "origin")
    files.add(letters[:2])
    files.add(letters[2:])
    files.finish()
    files.finish()
    [key] = [info.key for info in store.list()]
    assert key.startswith("dead-letters/run/origin-00000-")
    lines = gzip.decompress(store.get(key)).splitlines()
    assert [json.loads(line)["raw"] for line in lines] == ["0", "1", "2"]


def test_many_go_to_several_files_each_once_and_wait_compressed() -> None:
    store = MemoryStore(new_token(12))
    files = DeadLetterFiles(store, Layout("run"), segment_bytes=2_000, file_bytes=1_000)
    letters = [DeadLetter("a", "b", "not-json", "why", random.Random(number).randbytes(50)) for number in range(500)]
    for start in range(0, 500, 7):
        files.add(letters[start : start + 7])
    files.finish()
    found = [json.loads(line) for info in store.list() for line in gzip.decompress(store.get(info.key)).splitlines()]
    assert len(list(store.list())) > 20
    assert collections.Counter(one["raw_hex"] for one in found) == collections.Counter(one.raw.hex() for one in letters)


def test_memory_does_not_grow_with_their_number() -> None:
    files = DeadLetterFiles(MemoryStore(new_token(12)), Layout("run"))
    tracemalloc.start()
    try:
        for number in range(100):
            files.add([DeadLetter(None, None, "not-json", "why", b"%d bad " % number * 20) for _ in range(1_000)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MiB


def test_a_file_that_could_not_be_written_is_written_at_the_next_call() -> None:
    store = FailingOnce()
    files = DeadLetterFiles(store, Layout("run"))
    files.add([DeadLetter(None, None, "not-json", "why", b"x")])
    with pytest.raises(StoreError):
        files.finish()
    files.finish()
    assert [json.loads(gzip.decompress(store.get(info.key)))["raw"] for info in store.list()] == ["x"]


class FailingOnce(MemoryStore):
    """Refuses its first put."""

    def __init__(self) -> None:
        super().__init__(new_token(12))
        self.puts = 0

    def put(self, *args: Any, **kwargs: Any) -> int:
        self.puts += 1
        if self.puts == 1:
            raise StoreError("the disk is full")
        return super().put(*args, **kwargs)


@pytest.mark.parametrize("fail", [False, True])
def test_all_are_counted_by_reason_or_the_first_fails_the_run(fail: bool) -> None:
    counts = MemoryMetrics()
    refused = [
        RejectedRecord(None, reason, f"detail {reason}", b"raw") for reason in ("not-json", "too-large", "not-json")
    ]
    if fail:
        with pytest.raises(RecordError, match=r"not-json: detail not-json; the record begins b'raw'\. on_bad_record="):
            accept_dead_letters(refused, counts, fail=True)
        assert counts.totals() == {}
        assert accept_dead_letters([], counts, fail=True) == []
        return
    assert [letter.reason for letter in accept_dead_letters(refused, counts, fail=False)] == [
        "not-json",
        "too-large",
        "not-json",
    ]
    assert counts.totals() == {"dead_letters": 3, "dead_letters_not_json": 2, "dead_letters_too_large": 1}
