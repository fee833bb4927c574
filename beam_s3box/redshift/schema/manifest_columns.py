"""Columns for what manifests list, whatever the format of their shards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.manifests import AVRO_EXTENSION, FetchBytes, ListedManifest
from beam_s3box.redshift.schema.avro_columns import LONGEST_TEXT, avro_columns
from beam_s3box.redshift.schema.infer import THREADS, columns_of_shards
from beam_s3box.redshift.sql.columns import Column
from beam_s3box.system.threads import Threads


def columns_of_manifests(
    manifests: Iterable[ListedManifest],
    fetch: FetchBytes,
    *,
    sample: int | None = None,
    exclude: Collection[str] = (),
    ignore_case: bool = False,
) -> list[Column]:
    """Return the columns for the records of all these manifests.

    Shards of JSON lines are read for their records, as `infer_columns` does it, shards of Avro for their schemas.

    Args:
      manifests: that were read.
      fetch: returns the bytes behind a URL.
      sample: see `infer_columns`.
      exclude: keys that become no column.
      ignore_case: see `infer_columns`.

    Raises:
      ConfigurationError: keys that can't be columns, or no files.
      S3BoxError: see `infer_columns`.
    """
    files = [file for manifest in manifests for file in manifest.files]
    if not files:
        raise ConfigurationError("manifests list no files: there is nothing to infer columns from")
    if not files[0].endswith(AVRO_EXTENSION):
        return columns_of_shards(files, fetch, ignore_case=ignore_case, exclude=exclude, sample=sample)
    threads = Threads(THREADS, "beam_s3box-avro-columns")
    return _merged(list(threads.map(lambda url: avro_columns(url, fetch(url)), dict.fromkeys(files))), exclude)


def _merged(schemas: Sequence[Sequence[Column]], exclude: Collection[str]) -> list[Column]:
    """Return the columns of all files, a text column if types differ."""
    columns: dict[str, Column] = {}
    for column in (column for schema in schemas for column in schema if column.key not in exclude):
        known = columns.setdefault(column.name, column)
        if known.type == column.type or known.sql_type.holds(column.sql_type):
            continue
        wider = column.sql_type.holds(known.sql_type)
        columns[column.name] = column if wider else Column(column.name, LONGEST_TEXT, column.key)
    return list(columns.values())
