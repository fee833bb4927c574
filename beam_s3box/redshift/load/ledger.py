# ruff: noqa: S608 - every name and value in these statements comes quoted from `quoting`
"""The ledger: a table that records which manifests are in which tables, written in the transaction that loads them.

Redshift enforces no unique keys, and its system views show loads that were rolled back. So a load first locks the
ledger, which also makes its snapshot begin after the loads before it, and reads it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final, NamedTuple, TypeVar

from beam_s3box.errors import ConfigurationError, ManifestReplacedError
from beam_s3box.redshift.manifests import ListedManifest
from beam_s3box.redshift.sql.quoting import literal, table_parts
from beam_s3box.redshift.sql.target import Mode, OnReplaced, Target, target_of, target_parts

LEDGER: Final = "beam_s3box_loads"
"""Name of the ledger, in the schema of its tables."""

REPLACED: Final = "replaced"
"""In place of the mode of a load: the records came by the manifest of a compaction, which replaces this one."""

_URL_BYTES = 2048
"""Room for a URL: S3 takes keys of 1,024 bytes, buckets of 63."""

_NAMES_IN_STATEMENT: Final = 5_000
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class LedgerName:
    """Names the ledger of each table, and prevents loads into ledgers.

    Rows that were loaded into a ledger would make later loads skip manifests, and "truncate" would empty it. As
    streams name tables, anybody who writes records could do either.

    Attributes:
      template: the ledger's name; without a schema it is in the table's. `{table}` in it is replaced by the table's
        name.

    Raises:
      ConfigurationError: an invalid table name, one in another database, or the name of the table itself.
    """

    template: str = LEDGER

    def __post_init__(self) -> None:
        target_parts(self.template, "ledger")
        if self._parts("{table}") == ("{table}",):
            raise ConfigurationError(f"ledger={self.template!r} is the table: write for instance '{{table}}_loads'")

    def of(self, target: Target) -> Target:
        """Return the ledger of a table; raises ConfigurationError if its name is too long."""
        return target_of(self._parts(target.table), target.schema, "ledger")

    def check_target(self, target: Target) -> Target:
        """Return the table; raises ConfigurationError if it is a ledger, of this or another table."""
        if any(self._is_named(target, parts) for parts in (self._parts("{table}"), (LEDGER,))):
            raise ConfigurationError(
                f"table={str(target)!r} is a ledger, which records what is loaded, or named like one (ledger="
                f"{self.template!r}): name another table, and if streams name tables give the template a fixed "
                "prefix, such as 'public.events_{domain}_{namespace}'"
            )
        return target

    def _parts(self, table: str) -> tuple[str, ...]:
        return tuple(part.replace("{table}", table) for part in table_parts(self.template, "ledger"))

    @staticmethod
    def _is_named(target: Target, parts: Sequence[str]) -> bool:
        # a ledger without a schema may be in any; case is ignored, as Redshift folds names
        names = (target.table,) if len(parts) == 1 else (target.schema, target.table)
        return all(
            re.fullmatch(".+".join(map(re.escape, part.casefold().split("{table}"))), name.casefold(), re.DOTALL)
            for part, name in zip(parts, names, strict=True)
        )


class Entry(NamedTuple):
    """One manifest that was loaded.

    Attributes:
      url: of the manifest.
      sha256: of its text when it was loaded.
      records: number of rows that it listed then.
      loaded_at: the time, as Redshift writes it.
    """

    url: str
    sha256: str
    records: int
    loaded_at: str


class Decision(NamedTuple):
    """What to do with manifests, given the ledger.

    Attributes:
      load: manifests that are not loaded yet, or to load again. If a part of what a compaction's manifest replaces is
        loaded already, these are the others of that part, and not the compaction's manifest.
      skip: manifests whose records are loaded already, or by another one of `load`.
      entries: of the ledger for all of them, and for what they replace; those of `load` are replaced.
    """

    load: tuple[ListedManifest, ...]
    skip: tuple[ListedManifest, ...]
    entries: tuple[Entry, ...]

    @property
    def superseded(self) -> tuple[str, ...]:
        """URLs that are loaded again, and whose entries are replaced."""
        urls = {one.url for manifest in self.load for one in manifest.family}
        return tuple(sorted(entry.url for entry in self.entries if entry.url in urls))


class Ledger(NamedTuple):
    """The ledger of one table, and its statements.

    Attributes:
      name: of the ledger.
      target: the table.
    """

    name: Target
    target: Target

    def create(self) -> str:
        """Return the statement that creates the ledger if it does not exist."""
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

    def totals(self) -> str:
        """Return the query for the records of all manifests of the table, by mode."""
        return f"SELECT mode, SUM(records)\nFROM {self.name.sql}\n{self._where_table()}\nGROUP BY mode"

    def record(self, manifests: Sequence[ListedManifest], mode: Mode) -> Iterator[str]:
        """Yield the statements that write the entries of these manifests, and of those that they replace."""
        entries = [(one, mode if one is manifest else REPLACED) for manifest in manifests for one in manifest.family]
        for part in in_parts(entries):
            rows = ",\n".join(
                f"  ({literal(self.target.schema)}, {literal(self.target.table)}, {literal(one.url)}, "
                f"{literal(one.sha256)}, {one.records:d}, {literal(how)})"
                for one, how in part
            )
            yield (
                f"INSERT INTO {self.name.sql}\n"
                f"  (table_schema, table_name, manifest_url, manifest_sha256, records, mode)\nVALUES\n{rows}"
            )

    def forget(self, urls: Iterable[str]) -> str:
        """Return the statement that removes the entries of these manifests."""
        return f"DELETE FROM {self.name.sql}\n{self._where(urls)}"

    def guard(self, urls: Sequence[str], entries: Sequence[Entry]) -> str:
        """Return a query that fails if the ledger has other entries for these manifests than `entries`."""
        count = len(entries)
        known = " OR ".join(
            f"(manifest_url = {literal(entry.url)} AND manifest_sha256 = {literal(entry.sha256)})" for entry in entries
        )
        same = f" AND SUM(CASE WHEN {known} THEN 1 ELSE 0 END) = {count:d}" if entries else ""
        return f"{guard_of(f'COUNT(*) = {count:d}{same}')}\nFROM {self.name.sql}\n{self._where(urls)}"

    def decide(
        self, manifests: Sequence[ListedManifest], entries: Sequence[Entry], mode: Mode, on_replaced: OnReplaced
    ) -> Decision:
        """Return which manifests to load.

        Records that several manifests list, because a compaction replaces one by another, are loaded once. With
        "truncate" all are loaded or none: the table is to have the rows of all of them together.

        Raises:
          ManifestReplacedError: a manifest was loaded with other shards, and `on_replaced` is "error".
        """
        known = {entry.url: entry for entry in entries}
        done = {
            origin.url
            for manifest in manifests
            for one in manifest.family
            if self._is_loaded(one, known.get(one.url), mode, on_replaced)
            for origin in one.origins
        }
        load, skip = _choose(manifests, done)
        if load and mode == "truncate":
            load, skip = _choose(manifests, set())
        return Decision(tuple(load), tuple(skip), tuple(entries))

    def _is_loaded(self, manifest: ListedManifest, entry: Entry | None, mode: Mode, on_replaced: OnReplaced) -> bool:
        if entry is None or entry.sha256 == manifest.sha256:
            return entry is not None
        if on_replaced == "error":
            raise ManifestReplacedError(self._explain(manifest, entry, mode))
        return on_replaced == "skip"

    def _where_table(self) -> str:
        return f"WHERE table_schema = {literal(self.target.schema)} AND table_name = {literal(self.target.table)}"

    def _where(self, urls: Iterable[str]) -> str:
        return f"{self._where_table()}\n  AND manifest_url IN ({', '.join(literal(url) for url in urls)})"

    def _explain(self, manifest: ListedManifest, entry: Entry, mode: Mode) -> str:
        begin = (
            f"{manifest.url} was loaded into {self.target} at {entry.loaded_at} with {entry.records} records, and has "
            f"been written again since: it lists {manifest.records} records in other files now, as after a rollback "
            "of the runner. "
        )
        if mode != "append":
            return (
                f"{begin}on_replaced='reload' loads it again, on_replaced='skip' leaves the table as it is "
                "(--redshift_on_replaced)"
            )
        return (
            f"{begin}Nothing was loaded. Use mode='upsert' with keys and on_replaced='reload'; or remove the rows of "
            f"the earlier load from the table, then its entry ({' '.join(self.forget([manifest.url]).split())}), and "
            "load again; or leave the table as it is with on_replaced='skip' (--redshift_on_replaced)"
        )


def _choose(manifests: Sequence[ListedManifest], done: Set[str]) -> tuple[list[ListedManifest], list[ListedManifest]]:
    """Return the manifests to load and to skip, in order, given the URLs of those whose records are loaded.

    A compaction's manifest comes before those that it replaces, if it is not loaded in part.
    """
    taken, chosen = set(done), dict[str, ListedManifest]()
    for manifest in sorted(manifests, key=lambda one: -len(one.origins)):
        missing = [origin for origin in manifest.origins if origin.url not in taken]
        for one in [manifest] if len(missing) == len(manifest.origins) else missing:
            chosen[one.url] = one
        taken.update(origin.url for origin in missing)
    skip = [one for one in manifests if one.url not in chosen and not any(o.url in chosen for o in one.origins)]
    return sorted(chosen.values(), key=_url), skip


def in_parts(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield the items in parts whose names fit one statement, which may have 16 MB."""
    for begin in range(0, len(items), _NAMES_IN_STATEMENT):
        yield items[begin : begin + _NAMES_IN_STATEMENT]


def _url(manifest: ListedManifest) -> str:
    return manifest.url


def entry(row: Sequence[object]) -> Entry:
    """Return one row of `Ledger.look_up`."""
    url, sha256, records, loaded_at = row
    return Entry(str(url), str(sha256).strip(), int(str(records)), str(loaded_at))


def guard_of(condition: str, value: str = "1") -> str:
    """Return the head of a query for a value, which fails, by a division by zero, unless the condition holds."""
    return f"SELECT {value} / (CASE WHEN {condition} THEN 1 ELSE 0 END)"
