# ruff: noqa: S608 - every name and value in these statements comes quoted from `quoting`
"""What is loaded into a table, as its ledger says, and how many rows it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from beam_s3box.redshift.load.ledger import Entry, Ledger, entry, in_parts
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.load.table_admin import tables_of
from beam_s3box.redshift.sql.target import Target


@dataclasses.dataclass(frozen=True)
class LoadedTable:
    """What is loaded into a table.

    Attributes:
      entries: of the ledger, by the URL of the manifest.
      rows: in the table; None if it does not exist.
      appended: rows that the ledger says were appended to it, of all manifests; None if they came in other ways too.
    """

    entries: dict[str, Entry]
    rows: int | None
    appended: int | None


def loaded_entries(settings: LoadSettings, target: Target, urls: Sequence[str]) -> dict[str, Entry]:
    """Return what the ledger of a table says of manifests, by their URL.

    Raises:
      LoadError: Redshift can't be reached, or rejects a query.
    """
    tables, ledger = tables_of(settings.connection), Ledger(settings.ledger.of(target), target)
    entries: dict[str, Entry] = {}
    for part in in_parts(urls):
        entries |= {found.url: found for found in map(entry, tables.rows(ledger.look_up(part)) or ())}
    return entries


def loaded_table(settings: LoadSettings, target: Target, urls: Sequence[str]) -> LoadedTable:
    """Return what the ledger of a table says of manifests, without locking anything.

    Args:
      settings: of the loader.
      target: the table.
      urls: of the manifests.

    Raises:
      LoadError: Redshift can't be reached, or rejects a query.
    """
    tables, ledger = tables_of(settings.connection), Ledger(settings.ledger.of(target), target)
    entries = loaded_entries(settings, target, urls)
    counted = tables.rows(f"SELECT COUNT(*) FROM {target.sql}")
    modes = tables.rows(ledger.totals()) or ()
    totals = {str(mode).strip(): int(str(records)) for mode, records in modes}
    appended = totals.get("append", 0) if set(totals) <= {"append"} else None
    return LoadedTable(entries, None if counted is None else int(str(counted[0][0])), appended)
