"""What is put behind the source: our write, the one that Beam's own parts make, or nothing but a count."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.typehints import List as BeamList
from zlib_ng import zlib_ng

from beam_s3box import ShardFile, StreamLimits, Tuning, WriteToS3Box
from beam_s3box.stores import Store, open_store
from tools.bench_stream.tally import Note

SHARD_RECORDS = 4_000
"""Records of a shard, the same for both."""

_GZIP = 31
_LEVEL = 4
"""That of our codec."""


def write_ours(lines: beam.PCollection, destination: str) -> None:
    """Write with WriteToS3Box, manifests and all."""
    write = WriteToS3Box(
        destination,
        domain_field="carrier",
        namespace_field="origin",
        limits=StreamLimits(max_records=SHARD_RECORDS),
        tuning=Tuning(packing="stateful"),
    )
    result = lines | "Write" >> write
    shards = result.shards | "RecordsOfShards" >> beam.Map(_records_of).with_output_types(int)
    manifests = result.manifests | "NoNewRecords" >> beam.Map(_none_of).with_output_types(int)
    shards | "NoteShards" >> beam.ParDo(Note())
    manifests | "NoteManifests" >> beam.ParDo(Note())


def write_batches(lines: beam.PCollection, destination: str) -> None:
    """Write with what Beam has: a key, GroupIntoBatches, and gzip and a PUT for each batch. No manifests."""
    written = (
        lines
        | "KeyByStream" >> beam.Map(_keyed).with_output_types(tuple[tuple[str, str], bytes])
        | "GroupIntoBatches" >> beam.GroupIntoBatches(SHARD_RECORDS)
        | "WriteBatch" >> beam.ParDo(_WriteBatch(open_store(destination))).with_output_types(int)
    )
    written | "NoteBatches" >> beam.ParDo(Note())


def read_only(lines: beam.PCollection, destination: str) -> None:
    """Count the lines."""
    counts = lines | "Count" >> beam.ParDo(_CountLines()).with_output_types(int)
    counts | "NoteCounts" >> beam.ParDo(Note())


WRITERS: dict[str, Callable[[beam.PCollection, str], None]] = {
    "ours": write_ours,
    "theirs": write_batches,
    "read": read_only,
}


def _records_of(file: ShardFile) -> int:
    return ShardFile._make(file).records


def _none_of(manifest: Any) -> int:
    return 0


def _keyed(line: bytes) -> tuple[tuple[str, str], bytes]:
    record = orjson.loads(line)
    return (record["carrier"], record["origin"]), line


class _WriteBatch(beam.DoFn):
    def __init__(self, store: Store) -> None:
        self._store = store

    def process(self, batch: tuple[tuple[str, str], Iterable[bytes]]) -> Iterator[int]:
        (domain, namespace), found = batch
        lines = list(found)
        compressor = zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _GZIP)
        body = compressor.compress(b"\n".join((*lines, b""))) + compressor.flush()
        key = f"data/{domain}/{namespace}/{uuid.uuid4().hex}.json.gz"
        self._store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip")
        yield len(lines)


class _CountLines(beam.DoFn):
    @beam.DoFn.yields_elements
    def process_batch(self, batch: list[bytes]) -> Iterator[int]:
        yield len(batch)

    def get_input_batch_type(self, input_element_type: Any) -> Any:
        """Return the type of batches; Beam can't read it off an annotation that is text."""
        return BeamList[bytes]
