"""Whether a load would fill any column: COPY skips keys that are no columns, without a message."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from beam_s3box.errors import LoadError, S3BoxError
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.manifests import AVRO_EXTENSION, FetchBytes, ListedManifest
from beam_s3box.redshift.schema.avro_columns import avro_columns
from beam_s3box.redshift.schema.shard_lines import shard_lines
from beam_s3box.redshift.sql.quoting import folded
from beam_s3box.redshift.sql.target import Target

BY_NAME: Final = ("auto", "auto ignorecase")
"""Mappings by which a key fills the column of its name."""

_SHOWN: Final = 10
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check_filled(
    target: Target, columns: LoadedColumns, manifests: Iterable[ListedManifest], fetch: FetchBytes, mapping: str
) -> None:
    """Raise LoadError if no key of any record fills a column: all rows would be NULL.

    Shards are read until a record fills one: as a rule it is the first record of the first shard. What can't be read
    here is left to COPY, which may have other rights.

    Args:
      target: the table.
      columns: of the load.
      manifests: to load.
      fetch: returns the bytes behind a URL.
      mapping: of COPY, one of `BY_NAME`.
    """
    names = set(map(folded, columns.names))
    found: dict[str, None] = {}
    try:
        for keys in _keys(manifests, fetch):
            if any((key if mapping == "auto" else folded(key)) in names for key in keys):
                return
            found.update(dict.fromkeys(keys))
    except (S3BoxError, OSError, LookupError, ValueError):
        return
    if found:
        raise LoadError(
            f"table={str(target)!r} has no column that is a key of the records, so that all rows would be NULL: its "
            f"columns are {_some(columns.names)}, and the keys {_some(found)}. {_way_out(names, found)}"
        )


def _keys(manifests: Iterable[ListedManifest], fetch: FetchBytes) -> Iterator[Collection[str]]:
    """Yield the keys of each record, or of all records of a file that says them."""
    for url in itertools.chain.from_iterable(manifest.files for manifest in manifests):
        if url.endswith(AVRO_EXTENSION):
            yield [column.key for column in avro_columns(url, fetch(url))]
        else:
            yield from (_fields_of(line).keys() for line in shard_lines(url, fetch))


def _fields_of(line: bytes) -> dict[str, Any]:
    return _OBJECT.decode(line)


def _way_out(names: Collection[str], keys: Collection[str]) -> str:
    same = next((key for key in keys if folded(key) in names), None)
    if same is not None:
        return f"For {same!r} in any case load with mapping='auto ignorecase' (--redshift_mapping)"
    rename = "Rename columns or keys, or add the missing columns with create_tables (--redshift_create_tables)"
    lower = {folded(key): key for key in keys}
    for name in sorted(names):
        for close in difflib.get_close_matches(name, lower, 1):
            return f"Did you mean {lower[close]!r} by the column {name!r}? {rename}"
    return rename


def _some(names: Iterable[str]) -> str:
    listed: Sequence[str] = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(map(repr, listed[:_SHOWN])) + more
