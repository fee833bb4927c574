"""Columns for what manifests list, whatever the format of their shards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import Format, format_named
from beam_s3box.redshift.manifests import AVRO_EXTENSION, FetchBytes, check_format, read_manifests
from beam_s3box.redshift.schema.avro_columns import LONGEST_TEXT, avro_columns
from beam_s3box.redshift.schema.infer import THREADS, columns_of_shards
from beam_s3box.redshift.sql.columns import Column
from beam_s3box.system.threads import Threads


def columns_of_manifests(
    manifests: Iterable[Manifest | str],
    fetch: FetchBytes,
    *,
    sample: int | None = None,
    exclude: Collection[str] = (),
    ignore_case: bool = False,
    format: str | Format | None = None,
) -> list[Column]:
    """Return the columns that hold the records of all these manifests.

    Of JSON lines the records are looked at, as `infer_columns` does it; of Avro the schemas.

    Args:
      manifests: as a run returns them, or their URLs.
      fetch: returns the bytes behind a URL.
      sample: see `infer_columns`.
      exclude: keys that become no column.
      ignore_case: see `infer_columns`.
      format: that the shards are to have; None for any.

    Raises:
      ConfigurationError: another format than `format`, keys that can't be columns, or no manifests.
      S3BoxError: see `infer_columns`.
    """
    listed = read_manifests(manifests, fetch, needs_counts=False)
    if format is not None:
        check_format(format_named(format, finds_schema=True), listed)
    files = [file for manifest in listed for file in manifest.files]
    if not files:
        raise ConfigurationError("manifests list no files: there is nothing to make columns of")
    if not files[0].endswith(AVRO_EXTENSION):
        return columns_of_shards(files, fetch, ignore_case=ignore_case, exclude=exclude, sample=sample)
    threads = Threads(THREADS, "beam_s3box-avro-columns")
    return _merged(list(threads.map(lambda url: avro_columns(url, fetch(url)), dict.fromkeys(files))), exclude)


def _merged(schemas: Sequence[Sequence[Column]], exclude: Collection[str]) -> list[Column]:
    """Return the columns of all, a text where files differ."""
    columns: dict[str, Column] = {}
    for column in (column for schema in schemas for column in schema if column.key not in exclude):
        known = columns.setdefault(column.name, column)
        if known.type == column.type or known.sql_type.holds(column.sql_type):
            continue
        wider = column.sql_type.holds(known.sql_type)
        columns[column.name] = column if wider else Column(column.name, LONGEST_TEXT, column.key)
    return list(columns.values())
