"""Reads Avro files, a block at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import fastavro

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.avro.schemas import Convert, check_fields, plain_schema
from beam_s3box.jobs.read.row_batches import ReadRow, batches_of
from beam_s3box.jobs.read.seekable import errors_named, file_of

_MAGIC: Final = b"Obj\x01"
_HEADER: Final = fastavro.parse_schema(
    {
        "type": "record",
        "name": "org.apache.avro.file.Header",
        "fields": [
            {"name": "magic", "type": {"type": "fixed", "name": "Magic", "size": 4}},
            {"name": "meta", "type": {"type": "map", "values": "bytes"}},
            {"name": "sync", "type": {"type": "fixed", "name": "Sync", "size": 16}},
        ],
    }
)
"""Of a file. Source: Avro 1.12, Object Container Files."""

_OWN_METADATA: Final = ("avro.schema", "avro.codec")


def read_avro(blocks: Iterator[bytes], path: str) -> Iterator[ReadRow]:
    """Yield the rows of a file.

    Args:
      blocks: bytes of the file.
      path: of the file.

    Raises:
      ConfigurationError: the file can't be read, as far as it is; says its name, why, and behind which row.
    """
    source = file_of(blocks)
    if source.peek(1)[: len(_MAGIC)] != _MAGIC:
        raise ConfigurationError(
            f"input={path!r} is empty or does not begin as an Avro file does, with Obj: copy or write it again, or "
            "leave it out"
        )
    with errors_named(path, "Avro"):
        blocks_of_rows, convert = _open(source, path)
    return batches_of(_rows(blocks_of_rows, convert, path), path)


def _open(source: BinaryIO, path: str) -> tuple[Iterator[Any], Convert | None]:
    """Return blocks of the file's plain values, and what converts a row."""
    header: Any = fastavro.schemaless_reader(source, _HEADER, None)
    schema = json.loads(header["meta"]["avro.schema"])
    check_fields(schema, path)
    plain, convert = plain_schema(schema)
    # what users keep there is any bytes, and the library takes all of it for text
    kept = {name: value for name, value in header["meta"].items() if name in _OWN_METADATA}
    header["meta"] = kept | {"avro.schema": json.dumps(plain).encode()}
    begin = io.BytesIO()
    fastavro.schemaless_writer(begin, _HEADER, header)
    joined: Any = _Joined(begin.getvalue(), source)
    return fastavro.block_reader(joined, handle_unicode_errors="surrogateescape"), convert


class _Joined:
    """A file whose beginning is another one."""

    def __init__(self, begin: bytes, rest: BinaryIO) -> None:
        self._begin = io.BytesIO(begin)
        self._rest = rest

    def read(self, size: int) -> bytes:
        data = self._begin.read(size)
        return data + self._rest.read(size - len(data)) if len(data) < size else data

    def tell(self) -> int:
        """Return any number: the library notes where blocks are, and nobody asks."""
        return 0


def _rows(blocks: Iterator[Any], convert: Convert | None, path: str) -> Iterator[tuple[int, Any]]:
    number = 0
    with errors_named(path, "Avro", lambda: f" after row {number}"):
        for block in blocks:
            for row in block:
                number += 1
                yield number, row if convert is None else convert(row)
            if block.bytes_.read(1):
                raise ValueError(f"a block holds more than the {block.num_records} rows that it says")
