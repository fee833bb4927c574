"""One load, decided before Redshift is asked: which manifests, into which table, how; and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from beam_s3box.errors import CopyError, KeyValuesError, RowCountError
from beam_s3box.redshift.client.errors import Failure
from beam_s3box.redshift.load.ledger import Decision, Entry, Ledger
from beam_s3box.redshift.load.load_errors import LoadProblem, describe, way_out
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.statements import apply, drop_stage, stage_of
from beam_s3box.redshift.manifests import ListedManifest
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.target import Merge, OnReplaced, Target

Outcome: TypeAlias = Literal["loaded", "already-loaded", "nothing-to-load"]


class LoadResult(NamedTuple):
    """What became of a load.

    Attributes:
      outcome: "loaded"; "already-loaded" if the ledger knew all manifests; "nothing-to-load" if none lists a file.
      table: with its schema.
      mode: how it was loaded.
      loaded: URLs of the manifests whose rows this load brought.
      skipped: URLs of those that were loaded before.
      records: rows that COPY read.
      rejected: rows that it left out, as `maxerror` allows.
      attempts: how often it was tried, 1 if nothing went wrong.
    """

    outcome: Outcome
    table: str
    mode: str
    loaded: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    records: int = 0
    rejected: int = 0
    attempts: int = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a load needs to know.

    Attributes:
      target: the table.
      ledger: that speaks of it.
      manifests: to be loaded, by URL.
      merge: how rows come into the table.
      copy_settings: what all COPYs of the load have in common, with the keys, if any.
      columns: that are loaded; None for all that the table has and that can be loaded.
      on_replaced: what is done with a manifest that was loaded with other shards.
    """

    target: Target
    ledger: Ledger
    manifests: tuple[ListedManifest, ...]
    merge: Merge
    copy_settings: CopySettings
    columns: LoadedColumns | None = None
    on_replaced: OnReplaced = "error"

    @property
    def urls(self) -> list[str]:
        """The manifests' URLs."""
        return [manifest.url for manifest in self.manifests]

    def decide(self, entries: Sequence[Entry]) -> Decision:
        """Return what is to be loaded, by what the ledger says; see `Ledger.decide`."""
        return self.ledger.decide(self.manifests, entries, self.merge.mode, self.on_replaced)

    def copy(self, manifest: ListedManifest, columns: LoadedColumns) -> str:
        """Return the COPY of a manifest."""
        return self.copy_settings.sql(manifest.url, (stage_of(self.target),), columns.names)

    def finish(self, decision: Decision, columns: LoadedColumns) -> Iterator[str]:
        """Yield the statements between the checks and the commit."""
        yield from apply(self.target, self.merge, columns)
        if decision.superseded:
            yield self.ledger.forget(decision.superseded)
        yield self.ledger.record(decision.load, self.merge.mode)
        yield drop_stage(self.target)

    def check_columns(self, columns: LoadedColumns) -> LoadedColumns:
        """Return the columns; raises ConfigurationError if a key is not among them."""
        self.merge.check_columns(columns.names)
        return columns

    def check_rows(self, manifest: ListedManifest, rows: int) -> None:
        """Raise RowCountError if COPY loaded more or fewer rows than it may."""
        least, most = self.copy_settings.row_bounds(manifest.records)
        if not least <= rows <= most:
            raise self.row_error(manifest, rows)

    def row_error(self, manifest: ListedManifest, rows: int | None = None) -> RowCountError:
        """Return the error for a COPY that loaded more or fewer rows than it may; None where nobody says how many."""
        loaded = "another number of" if rows is None else rows
        return RowCountError(
            f"COPY loaded {loaded} rows of {manifest.url}, which lists {manifest.records}; nothing of it is in "
            f"{self.target}. Files were changed or cut after the manifest was written, or its counts are not of rows: "
            "write the data again under a new run id"
        )

    def key_error(self, what: str) -> KeyValuesError:
        """Return the error for keys that can't name rows."""
        return KeyValuesError(
            f"keys={list(self.merge.keys)!r} can't name the rows for {self.target}: {what}. Nothing of the load is in "
            "the table. Give order_by= with the column that says which is the newest, or keys that stand once and are "
            "never null"
        )

    def result(self, outcome: Outcome, decision: Decision, rows: int = 0, attempts: int = 1) -> LoadResult:
        """Return what the caller gets."""
        loaded = decision.load if outcome == "loaded" else ()
        return LoadResult(
            outcome,
            str(self.target),
            self.merge.mode,
            loaded=tuple(manifest.url for manifest in loaded),
            skipped=tuple(manifest.url for manifest in decision.skip),
            records=rows,
            rejected=sum(manifest.records for manifest in loaded) - rows,
            attempts=attempts,
        )


def copy_error(failure: Failure, manifest: ListedManifest, target: Target, found: Sequence[LoadProblem]) -> CopyError:
    """Return the error for a COPY that was refused: where, why, and what to do."""
    begin = f"{failure.error(f'COPY of {manifest.url} into {target}')}. Nothing of the load is in the table. "
    if not found:
        return CopyError(f"{begin}Redshift's views of load errors say nothing more of its files")
    return CopyError(
        f"{begin}{describe(found)}. What to do: {way_out(found)}",
        found,
    )
