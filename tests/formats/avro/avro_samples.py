"""Schemas with values that fit them, as JSON has the values and as a reader of Avro gives them."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any, NamedTuple

import avro.datafile
import avro.io
import fastavro
from hypothesis import strategies as st

from beam_s3box.formats import AvroFormat
from beam_s3box.records.streams import Stream

STREAM = Stream("web", "clicks")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(st.sampled_from("abcXYZ_01"), max_size=4)


class Sample(NamedTuple):
    """A schema, and pairs of values that fit it: as JSON, and as read."""

    schema: Any
    pairs: st.SearchStrategy[tuple[Any, Any]]


def same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return values.map(lambda value: (value, value))


def hexadecimal(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[str, bytes]]:
    return values.map(lambda value: (value.hex(), value))


PRIMITIVES = {
    "null": same(st.none()),
    "boolean": same(st.booleans()),
    "int": same(st.integers(-(2**31), 2**31 - 1)),
    "long": same(st.integers(-(2**63), 2**63 - 1) | st.integers(-3000, 3000)),
    "float": same(st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "double": same(st.floats(allow_nan=False, allow_infinity=False)),
    "string": same(TEXT),
    "bytes": hexadecimal(st.binary(max_size=8)),
}
UNIONS = ("null", "boolean", "long", "double", "string")


@st.composite
def records(draw: st.DrawFn) -> Sample:
    """A schema of a record with everything that Avro has, and its values."""
    return _record(draw, itertools.count(), 2)


def _record(draw: st.DrawFn, numbers: Any, depth: int) -> Sample:
    parts = {f"f{i}_{draw(NAMES)}": _node(draw, numbers, depth) for i in range(draw(st.integers(0, 4)))}
    pairs = st.fixed_dictionaries({name: part.pairs for name, part in parts.items()}).map(
        lambda values: ({k: v[0] for k, v in values.items()}, {k: v[1] for k, v in values.items()})
    )
    fields = [{"name": name, "type": part.schema} for name, part in parts.items()]
    return Sample({"type": "record", "name": f"R{next(numbers)}", "namespace": "a.b", "fields": fields}, pairs)


def _node(draw: st.DrawFn, numbers: Any, depth: int) -> Sample:
    kinds = ["primitive", "primitive", "enum", "fixed", "union"]
    kind = draw(st.sampled_from([*kinds, "nullable", "array", "map", "record"] if depth else kinds))
    if kind == "primitive":
        name = draw(st.sampled_from(sorted(PRIMITIVES)))
        return Sample(draw(st.sampled_from([name, {"type": name}])), PRIMITIVES[name])
    if kind == "enum":
        symbols = draw(st.lists(st.sampled_from("ABCDE"), min_size=1, unique=True))
        return Sample({"type": "enum", "name": f"E{next(numbers)}", "symbols": symbols}, same(st.sampled_from(symbols)))
    if kind == "fixed":
        size = draw(st.integers(1, 5))
        values = hexadecimal(st.binary(min_size=size, max_size=size))
        return Sample({"type": "fixed", "name": f"X{next(numbers)}", "size": size}, values)
    if kind == "union":
        names = draw(st.lists(st.sampled_from(UNIONS), min_size=1, max_size=4, unique=True))
        # fastavro, which the rows are compared with, would round an integer for a double that comes first
        names.sort(key="double".__eq__)
        return Sample(names, st.one_of(*(PRIMITIVES[name] for name in names)))
    if kind == "record":
        return _record(draw, numbers, depth - 1)
    inner = _node(draw, numbers, depth - 1)
    if kind == "nullable":
        nested = isinstance(inner.schema, list) or inner.schema in ("null", {"type": "null"})
        return inner if nested else Sample(["null", inner.schema], inner.pairs | same(st.none()))
    if kind == "array":
        items = st.lists(inner.pairs, max_size=3)
        pairs = items.map(lambda values: ([v[0] for v in values], [v[1] for v in values]))
        return Sample({"type": "array", "items": inner.schema}, pairs)
    objects = st.dictionaries(TEXT, inner.pairs, max_size=3).map(
        lambda found: ({k: v[0] for k, v in found.items()}, {k: v[1] for k, v in found.items()})
    )
    return Sample({"type": "map", "values": inner.schema}, objects)


def record_of(*types: Any, **named: Any) -> dict[str, Any]:
    """Return the schema of a record with these fields, `a`, `b` and so on."""
    fields = {**dict(zip("abcdefgh", types, strict=False)), **named}
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}


def line(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def encode(format: AvroFormat, *values: Any) -> list[bytes]:
    encoder = format.encoder(STREAM)
    return [encoder(line(value)) for value in values]


def shard(format: AvroFormat, *values: Any) -> bytes:
    one = format.of_stream(STREAM)
    return one.join([one.cut(encode(format, *values))])


def read(body: bytes) -> list[Any]:
    return list(fastavro.reader(io.BytesIO(body)))


def read_independently(body: bytes) -> list[Any]:
    """Read with the package of the Avro project itself, whose code is not fastavro's."""
    with avro.datafile.DataFileReader(io.BytesIO(body), avro.io.DatumReader()) as reader:
        return list(reader)


def round_trip(kind: Any, value: Any, **options: Any) -> Any:
    """Return what readers find where a field of a type was given this value."""
    body = shard(AvroFormat(record_of(kind), **options), {"a": value})
    [found] = read(body)
    return found["a"]
