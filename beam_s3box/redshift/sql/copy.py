"""The COPY that loads a manifest."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Unpack

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import Format, format_named
from beam_s3box.redshift.sql.columns import check_distinct
from beam_s3box.redshift.sql.copy_options import CopyKeywords, CopyOptions
from beam_s3box.redshift.sql.credentials import access_clause, check_access
from beam_s3box.redshift.sql.quoting import TableName, column_list, literal, qualified
from beam_s3box.stores.s3_settings import Credentials

_MANIFEST_URL = re.compile(r"s3://[^/\s]+/.*[^/]", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-\d{1,2}", re.ASCII)
_AUTO = "'auto'"


@dataclasses.dataclass(frozen=True)
class CopySettings:
    """What all COPYs of a load have in common, whatever the manifest and the table.

    Attributes:
      iam_role: see `copy_sql`.
      credentials: keys, or a function that finds them where the load runs.
      region: see `copy_sql`.
      format: see `copy_sql`.
      options: of COPY.
    """

    iam_role: str | Sequence[str] | None = None
    credentials: Credentials | Callable[[], Credentials] | None = dataclasses.field(default=None, repr=False)
    region: str | None = None
    format: str | Format = "json-lines"
    options: CopyOptions = dataclasses.field(default_factory=CopyOptions)

    def __post_init__(self) -> None:
        check_access(self.iam_role, self.credentials)
        _check_region(self.region)
        self._format_clause()

    def with_keys(self) -> CopySettings:
        """Return the same settings with the keys that the function finds, if there is one."""
        return dataclasses.replace(self, credentials=self.credentials()) if callable(self.credentials) else self

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts in the statements that nothing may show."""
        keys = self._keys
        return tuple(filter(None, (keys.secret_key, keys.token, keys.access_key))) if keys else ()

    def sql(self, manifest_url: str, table: TableName, columns: Sequence[str]) -> str:
        """Return the COPY of a manifest into a table; see `copy_sql`."""
        parts = [
            f"COPY {qualified(table)} {column_list(_check_columns(columns, self.options.mapping))}",
            f"FROM {literal(_check_manifest_url(manifest_url), 'manifest_url')}",
            access_clause(self.iam_role, self._keys),
            *([f"REGION {literal(self.region)}"] if self.region is not None else []),
            "MANIFEST",
            self._format_clause(),
            *self.options.clauses(),
        ]
        return "\n".join(parts)

    def row_bounds(self, records: int) -> tuple[int, int]:
        """Return the smallest and the largest number of rows that a COPY of this many records may load."""
        # COPY fails as soon as the number of rows in error reaches MAXERROR
        tolerated = max(0, (self.options.maxerror or 0) - 1)
        return max(0, records - tolerated), records

    @property
    def _keys(self) -> Credentials | None:
        return self.credentials if isinstance(self.credentials, Credentials) else None

    def _format_clause(self) -> str:
        """Return the format's clause with the mapping in it."""
        format, mapping = format_named(self.format, finds_schema=True), self.options.mapping
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
      columns: the complete list of columns to fill: one whose key is missing in a record becomes NULL, one that is
        not listed gets its default.
      iam_role: ARN of the role that reads S3, several roles to assume one after the other (a sequence, or text with
        commas), or `"default"`.
      credentials: keys, if there is no role. The statement contains them then: show it through `mask_sql` only.
      region: of the bucket, if it is not the cluster's.
      format: of the shards; a name, or a format whose `copy_clause` is what COPY needs.
      options: see `CopyOptions`.

    Raises:
      ConfigurationError: an argument that can't work, or an option that COPY refuses with this format.
    """
    settings = CopySettings(iam_role, credentials, region, format, CopyOptions.of(options))
    return settings.sql(manifest_url, table, columns)


def _check_manifest_url(url: str) -> str:
    if not isinstance(url, str) or not _MANIFEST_URL.fullmatch(url) or _CONTROL.search(url):
        raise ConfigurationError(
            f"manifest_url={url!r} must be the manifest's own URL, such as s3://bucket/prefix/x.manifest: COPY "
            "takes no folder here, and reads from S3 only"
        )
    return url


def _check_region(region: str | None) -> None:
    if region is not None and (not isinstance(region, str) or not _REGION.fullmatch(region)):
        raise ConfigurationError(
            f"region={region!r} must be an AWS region such as eu-central-1; None for the cluster's"
        )


def _check_columns(columns: Sequence[str], mapping: str) -> Sequence[str]:
    if isinstance(columns, str) or not columns:
        raise ConfigurationError(f"columns={columns!r} must name the columns to fill, at least one, in a sequence")
    check_distinct(columns)
    if mapping == "noshred" and len(columns) != 1:
        raise ConfigurationError(
            f"mapping='noshred' needs exactly one column, of type SUPER; columns names {len(columns)}"
        )
    return columns
