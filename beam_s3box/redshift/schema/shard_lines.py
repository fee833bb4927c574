"""The records of a shard, as lines of JSON."""

from __future__ import annotations

import io
from collections.abc import Iterator

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.contents import contents_of
from beam_s3box.records.lines import split_lines
from beam_s3box.redshift.manifests import FetchBytes


def shard_lines(url: str, fetch: FetchBytes) -> Iterator[bytes]:
    """Yield the lines of a shard of JSON lines, decompressed if it is gzip.

    Raises:
      ConfigurationError: a truncated shard, or one of another format.
      StoreError: the shard can't be read.
    """
    contents = contents_of(io.BytesIO(fetch(url)), url)
    if contents.kind == "avro":
        raise ConfigurationError(
            f"source lists {url}, which is Avro, not JSON lines: name the columns yourself, or give records"
        )
    for batch in split_lines(contents.blocks):
        yield from batch.lines
