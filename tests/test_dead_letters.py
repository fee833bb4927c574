"""Dead letters keep everything there was."""

from __future__ import annotations

import gzip
import json

from beam_s3box.dead_letters import DeadLetter, write_dead_letters
from beam_s3box.layout import Layout
from beam_s3box.routing import Refused
from beam_s3box.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.streams import Stream


def test_text_stays_text_and_other_bytes_are_hexadecimal() -> None:
    text = DeadLetter.of(Refused(Stream("a", "b"), "not-json", "why", "{é".encode()))
    assert json.loads(text.line()) == {
        "domain": "a", "namespace": "b", "reason": "not-json", "detail": "why", "raw": "{é",
    }  # fmt: skip
    other = DeadLetter.of(Refused(None, "invalid-utf8", "why \udcff", b"\xff\x00"))
    assert json.loads(other.line()) == {
        "domain": None, "namespace": None, "reason": "invalid-utf8", "detail": "why \\udcff", "raw_hex": "ff00",
    }  # fmt: skip


def test_a_file_holds_one_line_each() -> None:
    store = MemoryStore(new_token(12))
    letters = [DeadLetter("a", "b", "not-json", "why", b"%d" % number) for number in range(3)]
    key = write_dead_letters(store, Layout("run"), "origin", 4, letters)
    assert key.startswith("dead-letters/run/origin-00004-")
    lines = gzip.decompress(store.get(key)).splitlines()
    assert [json.loads(line)["raw"] for line in lines] == ["0", "1", "2"]
