"""Rows of an Avro file; dg:copy-parameters-data-format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import fastavro
import fastavro.read
import fastavro.schema

from redshift_stand_in.errors import RowError, s3_error
from redshift_stand_in.rows import MAX_ROW, RAW_SHOWN, Row, check_size
from redshift_stand_in.values import Number, as_json

_CODECS = ("null", "deflate", "snappy")
_MAX_HEADER = 1_048_576
_SYNC = 16
_END = "Invalid AVRO file found. Unexpected end of AVRO file."


def avro_rows(data: bytes) -> Iterator[Row]:
    """Yield the records of a file; a file that breaks a rule for files fails the whole COPY."""
    reader = _open(data)
    schema = fastavro.schema.parse_schema(_without_logical_types(reader.writer_schema))
    line = 0
    try:
        for block in reader:
            for row in _records(block, schema, line):
                line = row.line
                yield row
    except (EOFError, ValueError, IndexError, KeyError) as exc:
        raise s3_error(f"Invalid AVRO file found. {exc}") from exc
    if line == 0:
        raise s3_error(_END)


def _open(data: bytes) -> Any:
    stream = io.BytesIO(data)
    try:
        reader = fastavro.block_reader(stream)
    except (EOFError, ValueError, KeyError, IndexError) as exc:
        raise s3_error(_END if not data else f"Invalid AVRO file found. {exc}") from exc
    if stream.tell() > _MAX_HEADER:
        raise s3_error(f"Invalid AVRO file found. The header has {stream.tell()} bytes, more than {_MAX_HEADER}.")
    if reader.codec not in _CODECS:
        raise s3_error(f"Invalid AVRO file found. Codec {reader.codec} is not supported.")
    schema = reader.writer_schema
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise s3_error("Invalid AVRO file found. The schema type must be record.")
    for field in schema["fields"]:
        _check_union(field)
    return reader


def _check_union(field: dict[str, Any]) -> None:
    # unions with null work in practice; nothing is known about others
    branches = field["type"]
    if isinstance(branches, list) and (len(branches) > 2 or "null" not in branches):
        raise s3_error(f"Invalid AVRO file found. Field {field['name']}: only a union of null and a type is supported.")


def _without_logical_types(schema: Any) -> Any:
    """Return the schema as COPY takes it: dates are days, timestamps numbers, decimals bytes."""
    if isinstance(schema, list):
        return [_without_logical_types(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    # fastavro marks parsed schemas; the copy must be parsed again
    kept = {key: value for key, value in schema.items() if key not in ("logicalType", "__fastavro_parsed__", "default")}
    for key in ("type", "items", "values"):
        if key in kept:
            kept[key] = _without_logical_types(kept[key])
    if "fields" in kept:
        kept["fields"] = [_without_logical_types(field) for field in kept["fields"]]
    return kept


def _records(block: Any, schema: Any, line: int) -> Iterator[Row]:
    content = block.bytes_
    stored, raw = block.size, len(content.getvalue())
    # it is not documented which of the two is meant
    if max(stored, raw) > MAX_ROW:
        raise s3_error(f"Invalid AVRO file found. A block has {max(stored, raw)} bytes, more than {MAX_ROW}.")
    for number in range(line + 1, line + block.num_records + 1):
        start = content.tell()
        value = fastavro.schemaless_reader(content, schema, None)
        body = content.getvalue()[start : content.tell()]
        error = check_size(len(body), body.count(b"|"), "Maximum size of an AVRO record")
        plain = {key: _plain(item) for key, item in dict(value).items()}  # type: ignore[arg-type]
        yield Row(number, as_json(plain)[:RAW_SHOWN], error or plain)


def _plain(value: Any) -> Any:
    """Return a value as if it came from JSON; bytes as in Avro's own JSON encoding."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return Number(repr(value))
    if isinstance(value, int):
        return Number(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    raise RowError(1216, f"AVRO value of an unknown kind: {type(value).__name__}")
