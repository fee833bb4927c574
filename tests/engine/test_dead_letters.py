"""Dead letters keep everything there was."""

from __future__ import annotations

import collections
import gzip
import json
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.engine.dead_letters import DeadLetterBatch, DeadLetterFiles
from beam_s3box.errors import StoreError
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.lines import cut_line_of, split_lines
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.shards.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.system.threads import Threads


def of(rejected: RejectedRecord, **selector: Any) -> DeadLetterBatch:
    return DeadLetterBatch([rejected], StreamSelector(**selector))


def batch_of(raws: list[bytes]) -> DeadLetterBatch:
    return DeadLetterBatch([RejectedRecord(Stream("a", "b"), "not-json", "why", raw) for raw in raws], StreamSelector())


def lines_of(letters: DeadLetterBatch, most_bytes: int = 300) -> list[bytes]:
    found = []
    for text, count in letters.texts(most_bytes):
        lines = text.split(b"\n")
        assert len(lines) == count
        found += lines
    return found


def files_of(store: MemoryStore, layout: Layout, **arguments: Any) -> DeadLetterFiles:
    return DeadLetterFiles(store, layout, Threads(2, "codec"), Threads(2, "upload"), **arguments)


def test_a_batch_that_begins_with_a_broken_array_is_counted_once() -> None:
    lines = [b"[1,", b"[]", b'{"d":"a"}', b"[1"]
    _, rejected = Router(StreamSelector("a", "b"), record_rules(for_redshift=True)).route_lines(lines[:1] + lines[2:])
    letters = DeadLetterBatch(rejected, StreamSelector("a", "b"), LineBatch(lines, "f", range(1, 5)))
    assert {(one["raw"], one["line"]) for one in map(json.loads, lines_of(letters))} == {("[1,", 1), ("[1", 4)}
    assert sum(len(places) for _, places in letters.runs) == len(letters) == 2


def test_text_stays_text_and_other_bytes_are_hexadecimal() -> None:
    nowhere = {"source": None, "line": None}
    text = of(RejectedRecord(Stream("a", "b"), "not-json", "why", "{é".encode()))
    assert json.loads(lines_of(text)[0]) == {
        "domain": "a", "namespace": "b", "reason": "not-json", "detail": "why", **nowhere, "raw": "{é",
    }  # fmt: skip
    other = of(RejectedRecord(None, "invalid-utf8", "why \udcff", b"\xff\x00"))
    assert json.loads(lines_of(other)[0]) == {
        "domain": None, "namespace": None, "reason": "invalid-utf8", "detail": "why \\udcff", **nowhere,
        "raw_hex": "ff00",
    }  # fmt: skip


def test_a_run_of_bytes_and_texts_is_written_as_what_each_is() -> None:
    raws = [b"a", b"\xff", "é%d".encode(), b"", b"\xc3"]
    rejected = [RejectedRecord(None, "not-json", "100% of 'n%%b'", raw) for raw in raws]
    letters = DeadLetterBatch(rejected, StreamSelector(), LineBatch(raws, "50%b.jsonl", range(1, 6)))
    found = [json.loads(line) for line in lines_of(letters)]
    assert [one.get("raw", one.get("raw_hex")) for one in found] == ["a", "ff", "é%d", "", "c3"]
    assert [one["line"] for one in found] == [1, 2, 3, 4, 5]
    assert {(one["detail"], one["source"]) for one in found} == {("100% of 'n%%b'", "50%b.jsonl")}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({"domain": "a", "namespace": "b"}, ("a", "b")),
        ({"domain": "a", "namespace_field": "n"}, ("a", None)),
        ({"domain_field": "d", "namespace": "b"}, (None, "b")),
    ],
)
def test_names_that_are_constants_are_known_of_every_record(
    selector: dict[str, str], names: tuple[str | None, str | None]
) -> None:
    [letter] = of(RejectedRecord(None, "not-json", "why", b"{"), **selector)
    assert (letter.domain, letter.namespace) == names


LINE = st.sampled_from(
    [b"{", b"{", b"\xff", b'"', b"[1]", b'{"d":', b"\\u2028", b"}\xe2\x80\xa8,", b'a",', b',"', b"a\nb", b""]
)
"""One byte alone is one object wherever it stands."""


@given(st.lists(st.tuples(LINE, st.booleans()), max_size=30), st.integers(0, 2), st.booleans())
def test_each_has_the_number_of_its_line(rows: list[tuple[bytes, bool]], offset: int, in_order: bool) -> None:
    lines = [bytes(line) for line, _ in rows]
    batch = LineBatch(lines, "in.jsonl", range(7, 7 + len(lines)), offset)
    rejected = [
        RejectedRecord(None, "not-json", f"why {len(line) % 2}", line)
        for line, (_, bad) in zip(lines, rows, strict=True)
        if bad
    ]
    letters = DeadLetterBatch(rejected if in_order else rejected[::-1], StreamSelector(), batch)
    numbers = [letter.line for letter in letters]
    assert len(set(numbers)) == len(rejected)
    assert all(
        number is not None and lines[number - 7] == letter.raw for number, letter in zip(numbers, letters, strict=True)
    )
    assert {(letter.source, letter.offset) for letter in letters} <= {("in.jsonl", offset or None)}
    for letter, line in zip(letters, lines_of(letters), strict=True):
        found = json.loads(line)
        assert (found["line"], found["source"], found.get("offset")) == (letter.line, "in.jsonl", offset or None)
        kept = found["raw"].encode() if "raw" in found else bytes.fromhex(found["raw_hex"])
        assert kept == letter.raw


def test_a_line_that_was_cut_has_its_number_and_so_has_a_row() -> None:
    [batch] = list(split_lines(iter([b"{}\n", b"x" * 90, b"y" * 90, b"\n"]), max_line_bytes=100, source="f"))[1:]
    rejected = [RejectedRecord(None, "too-large", "why", cut_line_of(batch.lines[0]).head)]  # type: ignore[union-attr]
    assert [letter.line for letter in DeadLetterBatch(rejected, StreamSelector(), batch)] == [2]
    row = RejectedRow("csv-row-length", "why", "t.csv", 4, b"a,b")
    [letter] = DeadLetterBatch([RejectedRecord(None, row.reason, row.detail, row.raw)], StreamSelector(), [row])
    assert (letter.source, letter.line, letter.offset) == ("t.csv", 4, None)


class Uncounted(list[bytes]):
    """Lines that nobody looks at."""

    def __iter__(self) -> Any:
        raise AssertionError("lines were looked at")

    __reversed__ = __iter__


def test_no_line_of_a_batch_is_looked_at_where_none_is_rejected() -> None:
    lines = Uncounted([b"{}"])
    letters = DeadLetterBatch([], StreamSelector(), LineBatch(lines, "a.jsonl", range(1, 2)))
    assert not letters
    assert letters.source == "a.jsonl"


def test_a_file_holds_one_line_each() -> None:
    store = MemoryStore(new_token(12))
    files = files_of(store, Layout("run"), origin="origin")
    files.add(batch_of([b"0", b"1"]))
    files.add(batch_of([b"2"]))
    files.finish()
    files.finish()
    [key] = [info.key for info in store.list()]
    assert key.startswith("dead-letters/run/origin-00000-")
    lines = gzip.decompress(store.get(key)).splitlines()
    assert [json.loads(line)["raw"] for line in lines] == ["0", "1", "2"]


def test_many_go_to_several_files_each_once_and_wait_compressed() -> None:
    store = MemoryStore(new_token(12))
    files = files_of(store, Layout("run"), limits=StreamLimits(max_object_bytes=1_000))
    raws = [random.Random(number).randbytes(50) for number in range(500)]
    for start in range(0, 500, 7):
        files.add(batch_of(raws[start : start + 7]))
    files.finish()
    found = [json.loads(line) for info in store.list() for line in gzip.decompress(store.get(info.key)).splitlines()]
    assert len(list(store.list())) > 20
    assert collections.Counter(one["raw_hex"] for one in found) == collections.Counter(raw.hex() for raw in raws)


def test_memory_does_not_grow_with_their_number() -> None:
    files = files_of(MemoryStore(new_token(12)), Layout("run"))
    tracemalloc.start()
    try:
        for number in range(200):
            files.add(batch_of([b"%d bad " % number * 20] * 1_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * MiB  # the text of all is 60 MB


def test_a_file_that_can_not_be_written_is_an_error() -> None:
    files = files_of(Full(new_token(12)), Layout("run"))
    files.add(batch_of([b"x"]))
    with pytest.raises(StoreError, match="the disk is full"):
        files.finish()


class Full(MemoryStore):
    """Refuses all."""

    def put(self, *args: Any, **kwargs: Any) -> int:
        raise StoreError("the disk is full")


@pytest.mark.parametrize("numbers", [[0, 7, 9], ["49-1", "49-2", "49-3"]])
def test_records_of_a_topic_have_their_positions(numbers: list[Any]) -> None:
    lines = [b"{", b"{}", b"\xff"]
    batch = LineBatch(lines, "kafka://t/0", numbers, domain="t", has_positions=True)
    rejected = [RejectedRecord(None, "not-json", "why", line) for line in (lines[0], lines[2])]
    letters = DeadLetterBatch(rejected, StreamSelector("other", "n"), batch.part([0, 1, 2]))
    positions = [letter.offset if letter.sequence_number is None else letter.sequence_number for letter in letters]
    assert positions == [numbers[0], numbers[2]]
    assert {(letter.domain, letter.source, letter.line) for letter in letters} == {("t", "kafka://t/0", None)}
    found = [json.loads(line) for line in lines_of(letters)]
    assert [(one["offset"], one["line"], one["source"]) for one in found] == [
        (number, None, "kafka://t/0") for number in (numbers[0], numbers[2])
    ]
