"""Records that come one by one wait for each other, and no longer than the next batch, or the end of the bundle."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from beam_s3box.records.batches import LineBatch
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.transforms.encode import EncodeSegments
from tests.transforms.plans import write_plan


@pytest.fixture
def encode() -> EncodeSegments:
    step = EncodeSegments(write_plan(MemoryStore(new_token(12)), min_fill_to_seal=0.0))
    step.setup()
    step.start_bundle()
    return step


def text_of(outputs: Any) -> bytes:
    """Return the records of all shards among the outputs."""
    shards = [output.value.value for output in outputs if getattr(output, "tag", "") == "shards"]
    data = b"".join(segment.data for shard in shards for segment in shard.segments)
    return zlib.decompressobj(-15).decompress(data)


def test_they_stay_in_order_with_batches(encode: EncodeSegments) -> None:
    assert encode.process({"i": 0}) is None
    assert encode.process({"i": 1}) is None
    assert encode.process(LineBatch([b'{"i":2}', b'{"i":3}'], "f", (1, 2))) is None
    assert encode.process({"i": 4}) is None
    assert text_of(encode.finish_bundle()) == b"".join(b'{"i":%d}\n' % i for i in range(5))


def test_none_is_left_when_there_are_many(encode: EncodeSegments) -> None:
    outputs = [output for i in range(2_500) for output in encode.process({"i": i}) or ()]
    outputs += encode.finish_bundle()
    assert text_of(outputs) == b"".join(b'{"i":%d}\n' % i for i in range(2_500))
    [totals] = [output.value.value for output in outputs if getattr(output, "tag", "") == "input_totals"]
    assert (totals[0], totals[1].accepted, totals[1].rejected) == ("", 2_500, 0)


def test_what_is_rejected_is_no_reason_to_wait(encode: EncodeSegments) -> None:
    encode.process({"i": 0})
    [letters] = list(encode.process("no record") or ())
    assert (letters.tag, len(letters.value)) == ("dead_letters", 1)
    outputs = list(encode.finish_bundle())
    assert text_of(outputs) == b'{"i":0}\n'
    [totals] = [output.value.value for output in outputs if getattr(output, "tag", "") == "input_totals"]
    assert (totals[1].accepted, totals[1].rejected) == (1, 1)
