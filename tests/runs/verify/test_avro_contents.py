"""What an Avro shard holds is checked to the last byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from beam_s3box.formats import AvroFormat
from beam_s3box.records.streams import Stream
from beam_s3box.runs.verify.avro_contents import read_avro
from beam_s3box.runs.verify.json_contents import Contents, DamagedShardError

SCHEMA = {
    "type": "record",
    "name": "R",
    "fields": [{"name": "i", "type": "long"}, {"name": "t", "type": ["null", "string"], "default": None}],
}
CODECS = pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])


def shard(codec: Any) -> tuple[bytes, int]:
    format = AvroFormat(SCHEMA, codec=codec, for_redshift=codec != "snappy")
    encode = format.encoder(Stream("d", "n"))
    rows = [encode(json.dumps({"i": number, "t": f"ä{number}"}).encode()) for number in range(50)]
    segments = [format.cut(rows[start : start + 20]) for start in range(0, 50, 20)]
    return format.join(segments), sum(map(len, rows))


@CODECS
def test_whole(codec: str) -> None:
    body, raw_bytes = shard(codec)
    taken: list[dict[str, object]] = []
    assert read_avro(body, taken.extend) == Contents(50, raw_bytes)
    assert [row["i"] for row in taken] == list(range(50))


@CODECS
@pytest.mark.parametrize(
    "damage",
    [
        lambda body: b"",
        lambda body: body[:10],
        lambda body: body[:-1],
        lambda body: body[:-20],
        lambda body: body + b"x",
        lambda body: body + b"\0\0" + 16 * b"x",
        lambda body: body[:-16] + 16 * b"x",
        lambda body: body.replace(b"Obj", b"Obi", 1),
    ],
)
def test_damage(codec: str, damage: object) -> None:
    body, _ = shard(codec)
    with pytest.raises(DamagedShardError, match=r"is not a valid Avro file|has \d+ bytes behind"):
        read_avro(damage(body))  # type: ignore[operator]


@pytest.mark.parametrize("codec", ["deflate", "snappy"])
def test_each_flipped_byte_is_found(codec: str) -> None:
    """But for what makes another valid row, which only the digest can find."""
    body, _ = shard(codec)
    found = 0
    for at in range(len(body) - 200, len(body)):
        try:
            read_avro(body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :])
        except DamagedShardError:
            found += 1
    assert found > 100


def test_bytes_behind_the_rows_of_a_block() -> None:
    format = AvroFormat(SCHEMA, codec="null")
    encode = format.encoder(Stream("d", "n"))
    row = encode(b'{"i": 1, "t": null}')
    body = format.join([format.cut([row + b"\0"])])
    with pytest.raises(DamagedShardError, match="has 1 bytes behind the rows of a block, after row 1"):
        read_avro(body)
