"""The records of a shard, as lines of JSON."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.lines import gunzip, plain_blocks, split_lines
from beam_s3box.redshift.manifests import FetchBytes

_GZIP: Final = b"\x1f\x8b"
_AVRO: Final = b"Obj\x01"


def shard_lines(url: str, fetch: FetchBytes) -> Iterator[bytes]:
    """Yield the lines of a shard of JSON lines, decompressed if it is gzip.

    Raises:
      ConfigurationError: a truncated shard, or one of another format.
      StoreError: the shard can't be read.
    """
    body = fetch(url)
    if body.startswith(_AVRO):
        raise ConfigurationError(
            f"source lists {url}, which is Avro, not JSON lines: name the columns yourself, or give records"
        )
    file = io.BytesIO(body)
    for batch in split_lines(gunzip(file, url) if body.startswith(_GZIP) else plain_blocks(file)):
        yield from batch.lines
