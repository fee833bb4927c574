"""What an Avro shard holds, read row by row."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import fastavro

from beam_s3box.runs.verify.json_contents import Contents, DamagedShardError

_MAGIC: Final = b"Obj\x01"

TakeRows: TypeAlias = Callable[[list[Any]], object]
"""Is given the rows of a shard, block by block."""


def ignore_rows(rows: list[Any]) -> None:
    """Take rows, and do nothing with them."""


def read_avro(body: bytes, take: TakeRows = ignore_rows) -> Contents:
    """Return what an Avro file holds, after reading all of its rows.

    Each block must end with the marker of the file's header, and hold its rows and nothing else. `raw_bytes` are those
    of the rows alone.

    Args:
      body: the object.
      take: is given the rows.

    Raises:
      DamagedShardError: it is anything else.
    """
    if body[: len(_MAGIC)] != _MAGIC:
        raise DamagedShardError("is not a valid Avro file: it does not begin as one")
    records = raw_bytes = 0
    end = 0
    try:
        for block in fastavro.block_reader(io.BytesIO(body)):
            rows = list(block)
            records += len(rows)
            raw_bytes += _size_of(block, records)
            end = block.offset + block.size
            take(rows)
    except DamagedShardError:
        raise
    except Exception as exc:  # fastavro raises what comes: EOFError, ValueError, IndexError, zlib.error, …
        text = " ".join(str(exc).split()) or "it was cut off"
        raise DamagedShardError(
            f"is not a valid Avro file after row {records:,}: {type(exc).__name__}: {text}"
        ) from exc
    if records and end != len(body):
        raise DamagedShardError(f"has {len(body) - end:,} bytes behind its last block")
    return Contents(records, raw_bytes)


def _size_of(block: Any, records: int) -> int:
    rows: io.BytesIO = block.bytes_
    position = rows.tell()
    left = len(rows.getbuffer()) - position
    if left:
        raise DamagedShardError(f"has {left:,} bytes behind the rows of a block, after row {records:,}")
    return position
