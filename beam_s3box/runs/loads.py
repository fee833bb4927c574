"""The tables that a run's manifests are loaded into, and whether they are."""

from __future__ import annotations

from typing import NamedTuple

from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_reader import Run
from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.load.loaded import LoadedTable, loaded_entries, loaded_table
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Target
from beam_s3box.runs.replaced import replaced_by
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.stores import Store


class RunTables(NamedTuple):
    """The tables of a run.

    Attributes:
      manifests: by the table that they are loaded into.
      unnamed: manifests of streams whose names make no table name, each with the error that says why.
    """

    manifests: dict[Target, list[Manifest]]
    unnamed: list[tuple[Manifest, ConfigurationError]]


def tables_of_run(run: Run, template: TableTemplate, loader: RedshiftLoader) -> RunTables:
    """Return the tables that the manifests of a run are loaded into.

    Raises:
      ConfigurationError: the run has not finished, or has no manifests; or the template needs the names of a stream,
        and a manifest has none.
      StoreError: the manifests can't be read.
    """
    where = f"run_id={run.run_id!r} below {run.store.root}"
    if run.record.bounded and run.record.state != "finished":
        raise ConfigurationError(
            f"{where} is {run.record.state}, so its manifests do not count: load it when it has finished"
        )
    tables = RunTables({}, [])
    for manifest in run.manifests():
        template.check_stream(manifest.domain, manifest.namespace)
        try:
            table = loader.target(template.target(manifest.domain, manifest.namespace))
        except ConfigurationError as exc:
            tables.unnamed.append((manifest, exc))
        else:
            tables.manifests.setdefault(table, []).append(manifest)
    if not any(tables):
        raise ConfigurationError(f"{where} has no manifests: there is nothing to load")
    return tables


def check_tables(run: Run, template: TableTemplate, settings: LoadSettings, problems: Problems) -> int:
    """Check that each manifest of a run is in the ledger of its table as it is now; return the rows of the tables.

    Args:
      run: the run.
      template: names the tables.
      settings: of the loader.
      problems: takes what is wrong.

    Raises:
      ConfigurationError: see `tables_of_run`.
      LoadError: Redshift can't be reached, or rejects a query.
      StoreError: the manifests can't be read.
    """
    rows = 0
    tables = tables_of_run(run, template, RedshiftLoader.of(settings))
    for manifest, error in tables.unnamed:
        problems.add(manifest.url, f"is in no table: {error}")
    for table, manifests in tables.manifests.items():
        loaded = loaded_table(settings, table, [manifest.url for manifest in manifests])
        rows += loaded.rows or 0
        if loaded.rows is None:
            problems.add(str(table), "does not exist: nothing is loaded into it")
            continue
        for manifest in manifests:
            if manifest.url in loaded.entries or not _is_loaded_by_originals(run.store, manifest.key, settings, table):
                _check_manifest(manifest, table, loaded, problems)
        if loaded.appended is not None and loaded.rows < loaded.appended:
            problems.add(
                str(table),
                f"has {loaded.rows:,} rows, and {loaded.appended:,} were appended by its ledger: some are deleted",
            )
    return rows


def _is_loaded_by_originals(store: Store, key: str, settings: LoadSettings, table: Target) -> bool:
    """Return whether all that a compaction's manifest replaces is loaded, as a load of it would find."""
    rows = list(replaced_by(store, [key]))
    entries = loaded_entries(settings, table, [row.url for row in rows])
    return bool(rows) and all(
        entries[row.url].sha256 == row.sha256
        if row.url in entries
        else _is_loaded_by_originals(store, row.url.removeprefix(f"{store.root}/"), settings, table)
        for row in rows
    )


def _check_manifest(manifest: Manifest, table: Target, loaded: LoadedTable, problems: Problems) -> None:
    entry = loaded.entries.get(manifest.url)
    if entry is None:
        problems.add(manifest.url, f"is not loaded into {table}: its ledger does not have it")
    elif entry.sha256 != manifest.sha256:
        problems.add(
            manifest.url, f"was loaded into {table} at {entry.loaded_at} with other shards: it was written again since"
        )
    elif entry.records != manifest.records:
        problems.add(
            manifest.url, f"lists {manifest.records:,} records, and {entry.records:,} rows were loaded into {table}"
        )
