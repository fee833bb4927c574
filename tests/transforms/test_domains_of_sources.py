"""Batches whose source names the domain of their records: one write has the topics of a job as domains."""

from __future__ import annotations

import apache_beam as beam

from beam_s3box import WriteToS3Box
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
