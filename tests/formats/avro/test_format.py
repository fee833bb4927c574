"""The Avro format: schemas by stream, shards that are joined and never encoded again, and what COPY asks of them."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastavro
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.engine.shard_builder import ShardBuilder
from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.formats import (
    JSON_LINES,
    AvroFormat,
    encoders_of,
    format_named,
    format_of,
    read_avro_schemas,
    resolved_for,
)
from beam_s3box.formats.avro.blocks import BLOCK_BYTES
from beam_s3box.records.encoding import SCHEMA_MISMATCH, record_rules
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.shards.model import SealedShard
from tests.formats.avro.avro_samples import STREAM, encode, line, read, read_independently, record_of, shard

USERS = record_of("long", name="string")
CLICKS = record_of("string")
STAMPS = record_of({"type": "long", "logicalType": "timestamp-millis"})
BY_FIELDS = StreamSelector(domain_field="d", namespace_field="n")


@pytest.fixture(scope="module")
def codec() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def avro_of(format: Any, stream: Stream = STREAM) -> AvroFormat:
    found = format_of(format, stream)
    assert isinstance(found, AvroFormat)
    return found


def metadata(body: bytes) -> dict[str, str]:
    return dict(fastavro.reader(io.BytesIO(body)).metadata)


def test_names_itself() -> None:
    format = AvroFormat(USERS)
    assert (format.name, format.extension, format.record_overhead) == ("avro", ".avro", 0)
    assert format.copy_clause == "FORMAT AS AVRO 'auto'"
    assert AvroFormat(USERS, for_redshift=True).copy_clause == format.copy_clause
    assert AvroFormat(USERS, for_redshift=False).copy_clause is None


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_the_header_names_schema_and_codec(codec: Any) -> None:
    body = shard(AvroFormat(USERS, codec=codec), {"a": 1, "name": "x"})
    assert metadata(body) == {"avro.codec": codec, "avro.schema": json.dumps(USERS, separators=(",", ":"))}
    assert read(body) == [{"a": 1, "name": "x"}]


def test_snappy_blocks_are_those_of_an_independent_codec() -> None:
    format = AvroFormat(CLICKS, codec="snappy")
    rows = encode(format, *({"a": "x" * 300} for _ in range(20)))
    raw = b"".join(rows)
    block = format.cut(rows).data
    size = len(block) - 1 - 2  # count and length of the block
    compressed, checksum = block[3 : 3 + size - 4], block[-4:]
    assert pyarrow.Codec("snappy").decompress(compressed, len(raw)).to_pybytes() == raw
    assert checksum == zlib.crc32(raw).to_bytes(4, "big")


def test_snappy_without_its_package_is_rejected_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(ConfigurationError, match=r"codec='snappy' needs the package cramjam.*codec='deflate'"):
        AvroFormat(USERS, codec="snappy")
    AvroFormat(USERS)


def test_segments_are_joined_and_not_touched() -> None:
    format = AvroFormat(USERS)
    parts = [[{"a": i, "name": "x" * i} for i in range(start, start + 5)] for start in (0, 5, 10)]
    segments = [format.cut(encode(format, *part)) for part in parts]
    body = format.join(segments)
    assert all(segment.data in body for segment in segments)
    marker = body[-16:]
    assert body.count(marker) == 1 + len(parts), "one marker: behind the header and behind each block"
    assert read(body) == read_independently(body) == [record for part in parts for record in part]
    assert read(format.join([])) == []


def test_the_marker_follows_from_schema_and_codec_alone() -> None:
    again = pickle.loads(pickle.dumps(AvroFormat(USERS)))
    assert again == AvroFormat(json.dumps(USERS, indent=2))
    bodies = [shard(format, {"a": 1, "name": "x"}) for format in (AvroFormat(USERS), again)]
    assert bodies[0] == bodies[1]
    others = [shard(AvroFormat(USERS, codec="null"), {"a": 1, "name": "x"}), shard(AvroFormat(CLICKS), {"a": "x"})]
    assert len({body[-16:] for body in (*bodies, *others)}) == 3
    header = bodies[0][: bodies[0].index(bodies[0][-16:])]
    assert hashlib.sha256(header).digest()[:16] == bodies[0][-16:], "another process makes the same one"


def test_segments_of_another_schema_or_codec_are_never_joined() -> None:
    format = AvroFormat(USERS)
    others = ((AvroFormat(CLICKS), {"a": "x"}), (AvroFormat(USERS, codec="null"), {"a": 1, "name": ""}))
    for other, record in others:
        segment = other.cut(encode(other, record))
        with pytest.raises(ConfigurationError, match="encoded with another schema or codec"):
            format.join([segment])


def test_blocks_are_small_enough_for_copy() -> None:
    format = AvroFormat(CLICKS, codec="null")
    rows = encode(format, *({"a": "x" * 300_000} for _ in range(12)), {"a": "y" * 3_000_000}, {"a": "z"})
    segment = format.cut(rows)
    blocks = list(fastavro.block_reader(io.BytesIO(format.join([segment]))))
    sizes = [block.size for block in blocks]
    assert sum(block.num_records for block in blocks) == segment.records == 14
    assert [block.num_records for block in blocks] == [3, 3, 3, 3, 1, 1]
    assert all(size < BLOCK_BYTES + 100 for size in sizes if size < 3_000_000)
    assert max(sizes) < 4_000_000


def test_a_header_that_copy_would_refuse() -> None:
    with pytest.raises(
        ConfigurationError, match=r"schema makes a header of 1\d{6} bytes, and Redshift accepts 1000000"
    ):
        AvroFormat({**USERS, "doc": "x" * 1_000_000})
    AvroFormat({**USERS, "doc": "x" * 990_000})


SOURCES = [
    USERS,
    json.dumps(USERS),
    fastavro.parse_schema(USERS),
    {"web/*": USERS},
    {"*": json.dumps(USERS)},
    lambda stream: USERS,
    lambda stream: json.dumps(USERS),
]


@pytest.mark.parametrize("schema", SOURCES, ids=range(len(SOURCES)))
def test_schemas_may_be_given_in_many_forms(schema: Any) -> None:
    format = AvroFormat(schema)
    assert format_of(format, STREAM) == AvroFormat(USERS)
    assert read(shard(format, {"a": 1, "name": "x"})) == [{"a": 1, "name": "x"}]


def test_schemas_by_stream() -> None:
    format = AvroFormat({"web/*": CLICKS, "web/users": USERS, "shop/%2F": STAMPS, "New York/*": STAMPS})
    assert format_of(format, Stream("New York", "x")) == AvroFormat(STAMPS)
    assert format_of(format, Stream("web", "users")) == AvroFormat(USERS)
    assert format_of(format, Stream("web", "other")) == AvroFormat(CLICKS)
    assert format_of(format, Stream("shop", "/")) == AvroFormat(STAMPS)
    with pytest.raises(RecordError, match="the stream shop/x has no schema") as caught:
        format_of(format, Stream("shop", "x"))
    assert caught.value.reason == SCHEMA_MISMATCH
    with pytest.raises(RecordError, match="has no schema"):
        AvroFormat(lambda stream: None).encoder(STREAM)
    with pytest.raises(ConfigurationError, match=r"schema\(Stream\(.*\)\) must be the schema of a record"):
        AvroFormat(lambda stream: "5").encoder(STREAM)
    for use in (lambda: format.overhead, lambda: format.cut([b""]), lambda: format.join([])):
        with pytest.raises(ConfigurationError, match="needs a schema here"):
            use()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schema": 5}, "schema=5 must be a schema"),
        ({"schema": "{"}, "schema is not JSON"),
        ({"schema": {"type": "string"}}, "schema must be the schema of a record"),
        ({"schema": {}}, "schema must be the schema of a record"),
        ({"schema": {"web": USERS}}, "schema, as it has no 'type', has the pattern 'web'"),
        ({"schema": {"web/*": {"type": "int"}}}, r"schema\['web/\*'\] must be the schema of a record"),
        ({"schema": {"type": "record", "name": "R"}}, "schema: a record must have a list of fields"),
        ({"schema": record_of("nope")}, "schema is not a valid Avro schema: UnknownType: nope"),
        ({"schema": USERS, "codec": "zstandard"}, "codec='zstandard' must be one of null, deflate, snappy"),
        ({"schema": USERS, "unknown_fields": "keep"}, "unknown_fields='keep' must be 'reject' or 'drop'"),
    ],
)
def test_arguments_are_checked(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AvroFormat(**arguments)


def test_by_name_it_needs_a_schema() -> None:
    with pytest.raises(ConfigurationError, match=r"format='avro' needs a schema here: give AvroFormat\(schema\)"):
        format_named("avro")
    assert format_named("avro", finds_schema=True) == AvroFormat()
    with pytest.raises(ConfigurationError, match="needs a schema here"):
        AvroFormat().of_stream(STREAM)


def test_schemas_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    for content in (USERS, {"web/*": USERS}):
        path.write_text(json.dumps(content))
        assert format_of(AvroFormat(read_avro_schemas(path)), STREAM) == AvroFormat(USERS)
    for text, message in (("{", "is not JSON"), ("[]", "must contain a schema"), ('{"x": 1}', "the pattern 'x'")):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=rf"avro_schema='.*schema.json'.*{message}"):
            read_avro_schemas(path)
    with pytest.raises(ConfigurationError, match="can't be read: No such file"):
        read_avro_schemas(tmp_path / "none")


def test_the_write_decides_whether_logical_types_are_kept() -> None:
    open_format = AvroFormat(STAMPS)
    kept, text = (avro_of(resolved_for(open_format, copy=answer)) for answer in (False, True))
    assert (kept, text) == (AvroFormat(STAMPS, for_redshift=False), AvroFormat(STAMPS, for_redshift=True))
    assert resolved_for(kept, copy=True) is kept, "what the user said stands"
    assert shard(open_format, {"a": 0}) == shard(text, {"a": 0}), "undecided is safe for COPY"
    assert json.loads(metadata(shard(kept, {"a": 0}))["avro.schema"]) == STAMPS
    assert json.loads(metadata(shard(text, {"a": 0}))["avro.schema"]) == record_of("string")
    assert resolved_for(JSON_LINES, copy=True) is JSON_LINES


ROUTED = {"web": record_of("long", d="string", n="string"), "shop": record_of("string", d="string", n="string")}
ELEMENTS = st.lists(
    st.tuples(st.sampled_from(["web", "shop", "none"]), st.integers(-5, 5) | st.text("ab", max_size=3)), max_size=30
)


@settings(max_examples=150, deadline=None)
@given(ELEMENTS, st.booleans(), st.sampled_from([1, 3, 1000]), st.sampled_from([300, 600, 10_000]))
def test_every_record_is_in_a_shard_of_its_schema_or_rejected(
    codec: ThreadPoolExecutor, elements: list[tuple[str, Any]], one_by_one: bool, records: int, object_bytes: int
) -> None:
    format = AvroFormat({f"{domain}/*": schema for domain, schema in ROUTED.items()})
    router = Router(BY_FIELDS, record_rules(for_redshift=True), encoders_of(format))
    limits = StreamLimits(max_object_bytes=object_bytes, max_records=records)
    builder = ShardBuilder(format, lambda stream: limits, codec, "origin", min_fill_to_seal=0.0)
    given = [{"a": value, "d": domain, "n": "n"} for domain, value in elements]
    rejected: list[RejectedRecord] = []
    groups: dict[Stream, list[bytes]] = {}
    if one_by_one:
        for record in given:
            routed = router.route(record)
            if isinstance(routed, RejectedRecord):
                rejected.append(routed)
            else:
                groups.setdefault(routed[0], []).append(routed[1])
    else:
        groups, found_bad = router.route_lines([line(record) for record in given])
        rejected += found_bad
    for stream, rows in groups.items():
        builder.add((stream, "", 0), rows)
    shards = builder.finish().shards
    found = [record for shard in shards for record in read(whole(format, shard, limits))]
    fits = {"web": int, "shop": str, "none": bytes}
    assert sorted(map(repr, found)) == sorted(repr(one) for one in given if type(one["a"]) is fits[one["d"]])
    assert len(found) + len(rejected) == len(given)
    assert {one.reason for one in rejected} <= {SCHEMA_MISMATCH}
    assert all(json.loads(one.raw) in given and one.stream is not None for one in rejected)


def whole(format: AvroFormat, shard: SealedShard, limits: StreamLimits) -> bytes:
    body = format_of(format, shard.stream).join(shard.segments)
    records = sum(segment.records for segment in shard.segments)
    assert len(body) <= limits.max_object_bytes or records == 1
    assert records <= (limits.max_records or records)
    return body


def test_a_rejected_record_keeps_its_own_bytes() -> None:
    router = Router(BY_FIELDS, record_rules(for_redshift=False), encoders_of(AvroFormat(ROUTED["web"])))
    misfit = b'{"a": "x",  "d":"web","n":"n"}'
    for rejected in (router.route(misfit), router.route_lines([misfit])[1][0]):
        assert rejected == RejectedRecord(
            Stream("web", "n"), SCHEMA_MISMATCH, "does not fit the schema: a: a string, not an integer (long)", misfit
        )
    assert router.route_lines([misfit])[0] == {}, "no stream without a record"
