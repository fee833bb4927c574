"""Batches whose source names the domain of their records: one write has the topics of a job as domains."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from beam_s3box import WriteToS3Box
from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.records.batches import LineBatch
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.readback import read_back


def test_each_batch_has_the_domain_of_its_source() -> None:
    store = MemoryStore(new_token(8))
    batches = [
        LineBatch([b'{"n":"a"}', b"no"], "kafka://one/0", [4, 5], domain="one", has_positions=True),
        LineBatch([b'{"n":"a"}'], "kafka://two/0", [0], domain="two", has_positions=True),
        LineBatch([b'{"n":"a"}'], "kafka://three/0", [0], has_positions=True),
    ]
    with beam.Pipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(batches) | WriteToS3Box(store, domain="rest", namespace_field="n")
    found = read_back(store)
    assert sorted(found.records) == ["one/a", "rest/a", "two/a"]
    [letter] = found.dead_letters
    assert (letter["domain"], letter["source"], letter["offset"]) == ("one", "kafka://one/0", 5)


def test_a_sequence_number_is_longer_than_any_offset() -> None:
    """Rows have 64 bits for a whole number."""
    store, number = MemoryStore(new_token(8)), "49680699803360457125593015735346770997097810286803419154/1"
    batch = LineBatch([b"no"], "kinesis://clicks/shardId-000000000000", [number], has_positions=True)
    with beam.Pipeline("FnApiRunner") as pipeline:
        result = (
            pipeline | beam.Create([batch]) | WriteToS3Box(store, domain="a", namespace="b", max_dead_letters="100%")
        )
        positions = result.dead_letters | beam.Reshuffle() | beam.ParDo(Position())
        assert_that(positions, equal_to([(None, number)]))
    [letter] = read_back(store).dead_letters
    assert (letter["source"], letter["offset"]) == ("kinesis://clicks/shardId-000000000000", number)


class Position(beam.DoFn):
    def process(self, letter: DeadLetter) -> Iterator[tuple[int | None, str | None]]:
        yield letter.offset, letter.sequence_number
