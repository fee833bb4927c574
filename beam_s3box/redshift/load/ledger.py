# ruff: noqa: S608 - every name and value in these statements comes quoted from `quoting`
"""The ledger: a table that says which manifests are in which tables, written in the transaction that loads them.

Redshift enforces no unique keys, and its system views show loads that were rolled back. So a load locks the ledger
before anything else, which also makes its snapshot begin after the loads before it, and asks there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from beam_s3box.errors import ConfigurationError, ManifestReplacedError
from beam_s3box.redshift.manifests import ListedManifest
from beam_s3box.redshift.sql.quoting import literal, table_parts
from beam_s3box.redshift.sql.target import Mode, OnReplaced, Target, target_of, target_parts

LEDGER: Final = "beam_s3box_loads"
"""Name of the ledger, in the schema of the tables it speaks of."""

_URL_BYTES = 2048
"""Room for a URL: S3 takes keys of 1,024 bytes, buckets of 63."""


@dataclasses.dataclass(frozen=True)
class LedgerName:
    """Names the ledger of each table, and keeps tables from being ledgers themselves.

    Rows that were loaded into a ledger would tell later loads what is there already, and "truncate" would empty it. As
    streams name tables, whoever writes records could do either.

    Attributes:
      template: the ledger's name; without a schema it lies in the table's. `{table}` in it stands for the table's name.

    Raises:
      ConfigurationError: no name of a table, one in another database, or one that is each table's own.
    """

    template: str = LEDGER

    def __post_init__(self) -> None:
        target_parts(self.template, "ledger")
        if self._parts("{table}") == ("{table}",):
            raise ConfigurationError(f"ledger={self.template!r} is the table itself: write as '{{table}}_loads'")

    def of(self, target: Target) -> Target:
        """Return the ledger of a table; raises ConfigurationError if its name gets too long."""
        return target_of(self._parts(target.table), target.schema, "ledger")

    def check_target(self, target: Target) -> Target:
        """Return the table; raises ConfigurationError if it is a ledger, be it that of another table."""
        if any(self._is_named(target, parts) for parts in (self._parts("{table}"), (LEDGER,))):
            raise ConfigurationError(
                f"table={str(target)!r} is a ledger, which says what is loaded, or named as one (ledger="
                f"{self.template!r}): name another table, and where streams name tables give the template a fixed "
                "prefix, as 'public.events_{domain}_{namespace}'"
            )
        return target

    def _parts(self, table: str) -> tuple[str, ...]:
        return tuple(part.replace("{table}", table) for part in table_parts(self.template, "ledger"))

    @staticmethod
    def _is_named(target: Target, parts: Sequence[str]) -> bool:
        # a ledger that names no schema may lie in any; letters of any case are one, as Redshift folds names
        names = (target.table,) if len(parts) == 1 else (target.schema, target.table)
        return all(
            re.fullmatch(".+".join(map(re.escape, part.casefold().split("{table}"))), name.casefold(), re.DOTALL)
            for part, name in zip(parts, names, strict=True)
        )


class Entry(NamedTuple):
    """One manifest that is loaded.

    Attributes:
      url: of the manifest.
      sha256: of its text when it was loaded.
      records: how many rows it listed then.
      loaded_at: when, as Redshift writes it.
    """

    url: str
    sha256: str
    records: int
    loaded_at: str


class Decision(NamedTuple):
    """What is to be done with manifests, after a look into the ledger.

    Attributes:
      load: not loaded yet, or to be loaded again.
      skip: loaded already.
      entries: what the ledger says of all of them; those of `load` give way to new ones.
    """

    load: tuple[ListedManifest, ...]
    skip: tuple[ListedManifest, ...]
    entries: tuple[Entry, ...]

    @property
    def superseded(self) -> tuple[str, ...]:
        """URLs that are loaded again, and whose entries give way."""
        urls = {manifest.url for manifest in self.load}
        return tuple(sorted(entry.url for entry in self.entries if entry.url in urls))


class Ledger(NamedTuple):
    """The statements about one table's loads.

    Attributes:
      name: of the ledger.
      target: the table that is loaded.
    """

    name: Target
    target: Target

    def create(self) -> str:
        """Return the statement that makes the ledger where there is none."""
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name.sql} (\n"
            "  table_schema VARCHAR(127) NOT NULL,\n"
            "  table_name VARCHAR(127) NOT NULL,\n"
            f"  manifest_url VARCHAR({_URL_BYTES}) NOT NULL,\n"
            "  manifest_sha256 CHAR(64) NOT NULL,\n"
            "  records BIGINT NOT NULL,\n"
            "  mode VARCHAR(16) NOT NULL,\n"
            "  loaded_at TIMESTAMP DEFAULT GETDATE()\n"
            ")"
        )

    def lock(self) -> str:
        """Return the statement that makes loads wait for each other."""
        return f"LOCK TABLE {self.name.sql}"

    def look_up(self, urls: Iterable[str]) -> str:
        """Return the query for the entries of these manifests; see `entry`."""
        return f"SELECT manifest_url, manifest_sha256, records, loaded_at\nFROM {self.name.sql}\n{self._where(urls)}"

    def record(self, manifests: Sequence[ListedManifest], mode: Mode) -> str:
        """Return the statement that writes the entries of these manifests."""
        rows = ",\n".join(
            f"  ({literal(self.target.schema)}, {literal(self.target.table)}, {literal(manifest.url)}, "
            f"{literal(manifest.sha256)}, {manifest.records:d}, {literal(mode)})"
            for manifest in manifests
        )
        return (
            f"INSERT INTO {self.name.sql}\n"
            f"  (table_schema, table_name, manifest_url, manifest_sha256, records, mode)\nVALUES\n{rows}"
        )

    def forget(self, urls: Iterable[str]) -> str:
        """Return the statement that removes the entries of these manifests."""
        return f"DELETE FROM {self.name.sql}\n{self._where(urls)}"

    def guard(self, urls: Sequence[str], entries: Sequence[Entry]) -> str:
        """Return a query that fails if the ledger says anything else of these manifests than `entries`."""
        count = len(entries)
        known = " OR ".join(
            f"(manifest_url = {literal(entry.url)} AND manifest_sha256 = {literal(entry.sha256)})" for entry in entries
        )
        same = f" AND SUM(CASE WHEN {known} THEN 1 ELSE 0 END) = {count:d}" if entries else ""
        return f"{guard_of(f'COUNT(*) = {count:d}{same}')}\nFROM {self.name.sql}\n{self._where(urls)}"

    def decide(
        self, manifests: Sequence[ListedManifest], entries: Sequence[Entry], mode: Mode, on_replaced: OnReplaced
    ) -> Decision:
        """Return what is to be loaded.

        With "truncate" all of the manifests or none: the table is to hold what they list together.

        Raises:
          ManifestReplacedError: a manifest was loaded with other shards, and `on_replaced` is "error".
        """
        known = {entry.url: entry for entry in entries}
        load, skip = [], []
        for manifest in manifests:
            entry = known.get(manifest.url)
            if entry is None or (entry.sha256 != manifest.sha256 and on_replaced == "reload"):
                load.append(manifest)
            elif entry.sha256 == manifest.sha256 or on_replaced == "skip":
                skip.append(manifest)
            else:
                raise ManifestReplacedError(self._explain(manifest, entry, mode))
        if load and mode == "truncate":
            load, skip = list(manifests), []
        return Decision(tuple(load), tuple(skip), tuple(entries))

    def _where(self, urls: Iterable[str]) -> str:
        return (
            f"WHERE table_schema = {literal(self.target.schema)} AND table_name = {literal(self.target.table)}\n"
            f"  AND manifest_url IN ({', '.join(literal(url) for url in urls)})"
        )

    def _explain(self, manifest: ListedManifest, entry: Entry, mode: Mode) -> str:
        begin = (
            f"{manifest.url} was loaded into {self.target} at {entry.loaded_at} with {entry.records} records, and has "
            f"been written anew since: it lists {manifest.records} records in other files now, as after a rollback of "
            "the runner. "
        )
        if mode != "append":
            return f"{begin}on_replaced='reload' loads it again, on_replaced='skip' leaves the table as it is"
        return (
            f"{begin}Nothing was loaded. Use mode='upsert' with keys and on_replaced='reload'; or remove the rows of "
            f"the earlier load from the table, then its entry ({' '.join(self.forget([manifest.url]).split())}), and "
            "load again; or leave the table as it is with on_replaced='skip'"
        )


def entry(row: Sequence[object]) -> Entry:
    """Return one row of `Ledger.look_up`."""
    url, sha256, records, loaded_at = row
    return Entry(str(url), str(sha256).strip(), int(str(records)), str(loaded_at))


def guard_of(condition: str, value: str = "1") -> str:
    """Return the head of a query for a value, which fails, by a division by zero, unless the condition holds."""
    return f"SELECT {value} / (CASE WHEN {condition} THEN 1 ELSE 0 END)"
