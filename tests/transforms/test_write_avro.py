"""Avro in a pipeline: schemas by stream or from the element type, and dead letters for what does not fit."""

from __future__ import annotations

import datetime
import gzip
import io
import json
from typing import Any, NamedTuple, Optional

import apache_beam as beam
import fastavro
import numpy as np
import pytest
from apache_beam.typehints.row_type import RowTypeConstraint

from beam_s3box import S3Box, Tuning, WriteToS3Box
from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.formats import AvroFormat
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.transforms.avro_schema import avro_schema_of_elements

NAMES = {"d": "string", "n": "string"}


def record_of(**types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": kind} for name, kind in types.items()]}


SCHEMAS = {"web/a": record_of(**NAMES, x="long"), "web/*": record_of(**NAMES, y="string")}


class Row(NamedTuple):
    d: str
    n: str
    x: int | None
    at: datetime.datetime
    xs: list[float]
    m: dict[str, int]


def new_store() -> MemoryStore:
    return MemoryStore(new_token(16))


def read_back(store: MemoryStore) -> list[Any]:
    keys = [info.key for info in store.list() if info.key.startswith("data/")]
    return [record for key in keys for record in fastavro.reader(io.BytesIO(store.get(key)))]


def listed(store: MemoryStore) -> int:
    manifests = [json.loads(store.get(info.key)) for info in store.list() if info.key.startswith("manifests/")]
    return sum(entry["meta"]["record_count"] for manifest in manifests for entry in manifest["entries"])


@pytest.mark.parametrize("as_lines", [False, True])
@pytest.mark.parametrize("partial_shards", ["shuffle", "seal"])
def test_each_stream_has_its_schema_and_each_record_a_place(as_lines: bool, partial_shards: Any) -> None:
    good = [{"d": "web", "n": "a", "x": i} for i in range(50)] + [
        {"d": "web", "n": "b", "y": str(i)} for i in range(50)
    ]
    bad = [{"d": "web", "n": "a", "x": "1"}, {"d": "shop", "n": "a", "x": 1}]
    records = [*good, *bad]
    store = new_store()
    with beam.Pipeline() as pipeline:
        elements = [json.dumps(record).encode() for record in records] if as_lines else records
        source = pipeline | beam.Create(elements)
        source | WriteToS3Box(
            store,
            domain_field="d",
            namespace_field="n",
            format=AvroFormat(SCHEMAS),
            tuning=Tuning(partial_shards=partial_shards),
        )
    assert sorted(map(repr, read_back(store))) == sorted(map(repr, good))
    assert listed(store) == len(good)
    [key] = [info.key for info in store.list() if info.key.startswith("dead-letters/")]
    letters = [json.loads(text) for text in gzip.decompress(store.get(key)).splitlines()]
    assert {letter["reason"] for letter in letters} == {"schema-mismatch"}
    assert sorted(json.loads(letter["raw"])["d"] for letter in letters) == ["shop", "web"]


@pytest.mark.parametrize("manifests", ["auto", None])
def test_the_elements_type_is_a_schema_and_manifests_decide_on_logical_types(manifests: Any) -> None:
    at = datetime.datetime(2026, 11, 22, 10, 15, tzinfo=datetime.UTC)
    rows = [Row("web", "a", 1, at, [1.5], {"k": 1}), Row("web", "a", None, at, [], {})]
    store = new_store()
    with beam.Pipeline() as pipeline:
        source = pipeline | beam.Create(rows).with_output_types(Row)
        source | WriteToS3Box(store, domain_field="d", namespace_field="n", format="avro", manifests=manifests)
    kept = at if manifests is None else "2026-11-22T10:15:00Z"
    assert sorted(read_back(store), key=str) == sorted([row._asdict() | {"at": kept} for row in rows], key=str)
    assert listed(store) == (0 if manifests is None else 2)


def test_types_of_rows() -> None:
    inner = RowTypeConstraint.from_fields([("a", int)])
    # Beam treats `str | None` as Any here
    fields = [("i", np.int32), ("f", np.float32), ("s", Optional[str]), ("r", inner), ("l", beam.typehints.List[inner])]  # noqa: UP045
    schema = avro_schema_of_elements(RowTypeConstraint.from_fields(fields), keyed=False)
    assert [(field["name"], field["type"]) for field in schema["fields"]][:3] == [
        ("i", "int"), ("f", "float"), ("s", ["null", "string"]),
    ]  # fmt: skip
    assert [field["type"] for field in schema["fields"]][3:] == [
        {"type": "record", "name": "Record_r", "fields": [{"name": "a", "type": "long"}]},
        {
            "type": "array",
            "items": {"type": "record", "name": "Record_l_item", "fields": [{"name": "a", "type": "long"}]},
        },
    ]
    AvroFormat(schema)
    keyed = beam.typehints.Tuple[beam.typehints.Tuple[str, str], Row]
    assert len(avro_schema_of_elements(keyed, keyed=True)["fields"]) == 6
    with pytest.raises(ConfigurationError, match=r"the type .* of 'x' has no Avro type here"):
        avro_schema_of_elements(RowTypeConstraint.from_fields([("x", complex)]), keyed=False)


def test_what_has_no_schema_is_refused_when_the_pipeline_is_built() -> None:
    pipeline = beam.Pipeline()
    source = pipeline | beam.Create([{"a": 1}])
    with pytest.raises(ConfigurationError, match="takes its schema from the type of the elements"):
        source | WriteToS3Box(new_store(), domain="a", namespace="b", format="avro")
    kept = AvroFormat(record_of(a="long"), for_redshift=False)
    with pytest.raises(ConfigurationError, match="are mutually exclusive: COPY can't load rows from it"):
        WriteToS3Box(new_store(), domain="a", namespace="b", format=kept, manifests=Manifests())
    union = AvroFormat(record_of(a=["null", "long", "string"]))
    with pytest.raises(ConfigurationError, match="is a union of several types"):
        WriteToS3Box(new_store(), domain="a", namespace="b", format=union)
    WriteToS3Box(new_store(), domain="a", namespace="b", format=union, manifests=None)


def test_a_box_of_avro() -> None:
    store = new_store()
    with S3Box(store, format=AvroFormat(record_of(a="long"))) as box:
        box.pack({"a": 1})
        assert box.pack_many([b'{"a":2}\n', {"a": 3}]) == 2
        for pack in (lambda: box.pack({"a": "x"}), lambda: box.pack_many([b'{"a":4}', b'{"a":"x"}'])):
            with pytest.raises(RecordError, match="schema-mismatch: does not fit the schema: a: a string"):
                pack()
    assert box.create_manifests("m") == ["m_0.manifest"]
    assert [record["a"] for record in read_back(store)] == [1, 2, 3, 4]
    with pytest.raises(ConfigurationError, match="needs a schema here"):
        S3Box(store, format="avro")
