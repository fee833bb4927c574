"""The COPY that loads a manifest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Unpack

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import Format, format_named
from beam_s3box.redshift.sql.columns import check_distinct
from beam_s3box.redshift.sql.copy_options import CopyKeywords, CopyOptions
from beam_s3box.redshift.sql.credentials import access_clause
from beam_s3box.redshift.sql.quoting import TableName, column_list, literal, qualified
from beam_s3box.stores.s3_settings import Credentials

_MANIFEST_URL = re.compile(r"s3://[^/\s]+/.*[^/]", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-\d{1,2}", re.ASCII)
_AUTO = "'auto'"


def copy_sql(
    manifest_url: str,
    table: TableName,
    *,
    columns: Sequence[str],
    iam_role: str | Sequence[str] | None = None,
    credentials: Credentials | None = None,
    region: str | None = None,
    format: str | Format = "json-lines",
    **options: Unpack[CopyKeywords],
) -> str:
    """Return the COPY that loads what a manifest lists, without a semicolon.

    Args:
      manifest_url: `s3://bucket/key` of the manifest.
      table: where to; see `TableName`.
      columns: which columns are filled, in full: one whose key a record has not becomes NULL, one that is not listed
        gets its default.
      iam_role: ARN of the role that reads S3, several to be assumed one after the other (a sequence, or text with
        commas), or `"default"`.
      credentials: keys, where there is no role. The statement holds them then: show it through `mask_sql` only.
      region: of bucket and manifest, where it is not the cluster's.
      format: of the shards; a name, or a format whose `copy_clause` says what COPY needs.
      options: see `CopyOptions`.

    Raises:
      ConfigurationError: an argument that can't work, or an option that COPY refuses with this format.
    """
    chosen = CopyOptions.of(options)
    parts = [
        f"COPY {qualified(table)} {column_list(_check_columns(columns, chosen.mapping))}",
        f"FROM {literal(_check_manifest_url(manifest_url), 'manifest_url')}",
        access_clause(iam_role, credentials),
        *([f"REGION {literal(_check_region(region))}"] if region is not None else []),
        "MANIFEST",
        _format_clause(format_named(format, finds_schema=True), chosen.mapping),
        *chosen.clauses(),
    ]
    return "\n".join(parts)


def _check_manifest_url(url: str) -> str:
    if not isinstance(url, str) or not _MANIFEST_URL.fullmatch(url) or _CONTROL.search(url):
        raise ConfigurationError(
            f"manifest_url={url!r} must be the manifest's own URL, as s3://bucket/prefix/x.manifest: COPY takes no "
            "folder here, and reads from S3 only"
        )
    return url


def _check_region(region: str) -> str:
    if not isinstance(region, str) or not _REGION.fullmatch(region):
        raise ConfigurationError(f"region={region!r} must be an AWS region as eu-central-1; None for the cluster's")
    return region


def _check_columns(columns: Sequence[str], mapping: str) -> Sequence[str]:
    if isinstance(columns, str) or not columns:
        raise ConfigurationError(f"columns={columns!r} must name the columns to fill, at least one, in a sequence")
    check_distinct(columns)
    if mapping == "noshred" and len(columns) != 1:
        raise ConfigurationError(
            f"mapping='noshred' needs exactly one column, of type SUPER; columns names {len(columns)}"
        )
    return columns


def _format_clause(format: Format, mapping: str) -> str:
    """Return the format's clause with the mapping in it."""
    clause = format.copy_clause
    if clause is None:
        raise ConfigurationError(
            f"format={format.name!r} can't be loaded by COPY: write json-lines, or avro with for_redshift=True"
        )
    if mapping == "auto":
        return clause
    if _AUTO not in clause or (mapping == "noshred" and "JSON" not in clause):
        raise ConfigurationError(f"mapping={mapping!r} is not for format={format.name!r}: leave it at 'auto'")
    return clause.replace(_AUTO, literal(mapping, "mapping"), 1)
