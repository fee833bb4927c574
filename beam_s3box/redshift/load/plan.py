"""One load, decided before Redshift is asked: which manifests, into which table and how; and its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from beam_s3box.errors import CopyError, KeyValuesError, RowCountError
from beam_s3box.redshift.client.errors import Failure
from beam_s3box.redshift.load.filled_columns import BY_NAME, check_filled
from beam_s3box.redshift.load.ledger import Decision, Entry, Ledger, in_parts
from beam_s3box.redshift.load.load_errors import LoadProblem, describe, way_out
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.statements import apply, drop_stage, stage_of
from beam_s3box.redshift.manifests import FetchBytes, ListedManifest
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.target import Merge, OnReplaced, Target

_KEYS_WITH_ORDER: Final = "Give keys that are never null, or write such records elsewhere"
_KEYS_WITHOUT_ORDER: Final = (
    "Give order_by (--redshift_order_by) with the column that says which row is the newest, or keys that are unique; "
    "none may be null"
)

Outcome: TypeAlias = Literal["loaded", "already-loaded", "nothing-to-load"]


class LoadResult(NamedTuple):
    """The result of a load.

    Attributes:
      outcome: "loaded"; "already-loaded" if all manifests are in the ledger; "nothing-to-load" if none lists a file.
      table: with its schema.
      mode: of the load.
      loaded: URLs of the manifests that this load loaded.
      skipped: URLs of the manifests that were loaded before.
      records: rows that COPY loaded.
      rejected: rows that COPY skipped, as `maxerror` allows.
      attempts: number of attempts, 1 if nothing failed.
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
    """A load that is ready to run.

    Attributes:
      target: the table.
      ledger: of the table.
      manifests: to load, by URL.
      merge: how rows come into the table.
      copy_settings: what all COPYs of the load have in common, with the keys, if any.
      columns: to load; None for all of the table that can be loaded.
      on_replaced: what to do with a manifest that was loaded with other shards.
      fetch: reads shards, to see that their records fill a column; None if the columns were made for them.
    """

    target: Target
    ledger: Ledger
    manifests: tuple[ListedManifest, ...]
    merge: Merge
    copy_settings: CopySettings
    columns: LoadedColumns | None = None
    on_replaced: OnReplaced = "error"
    fetch: FetchBytes | None = None

    @property
    def urls(self) -> list[str]:
        """The URLs of the manifests, and of those that they replace."""
        return list(dict.fromkeys(one.url for manifest in self.manifests for one in manifest.family))

    def decide(self, entries: Sequence[Entry]) -> Decision:
        """Return what to load, given the entries of the ledger; see `Ledger.decide`."""
        return self.ledger.decide(self.manifests, entries, self.merge.mode, self.on_replaced)

    def copy(self, manifest: ListedManifest, columns: LoadedColumns) -> str:
        """Return the COPY of a manifest."""
        return self.copy_settings.sql(manifest.url, (stage_of(self.target),), columns.names)

    def finish(self, decision: Decision, columns: LoadedColumns) -> Iterator[str]:
        """Yield the statements between the checks and the commit."""
        yield from apply(self.target, self.merge, columns)
        for urls in in_parts(decision.superseded):
            yield self.ledger.forget(urls)
        yield from self.ledger.record(decision.load, self.merge.mode)
        yield drop_stage(self.target)

    def check_columns(self, columns: LoadedColumns, decision: Decision) -> LoadedColumns:
        """Return the columns.

        Raises:
          ConfigurationError: a key of an upsert is not among them.
          LoadError: the records of the manifests to load fill none of them.
        """
        self.merge.check_columns(columns.names)
        mapping = self.copy_settings.options.mapping
        if self.fetch is not None and mapping in BY_NAME:
            check_filled(self.target, columns, decision.load, self.fetch, mapping)
        return columns

    def check_rows(self, manifest: ListedManifest, rows: int) -> None:
        """Raise RowCountError if COPY loaded more or fewer rows than allowed."""
        least, most = self.copy_settings.row_bounds(manifest.records)
        if not least <= rows <= most:
            raise self.row_error(manifest, rows)

    def row_error(self, manifest: ListedManifest, rows: int | None = None) -> RowCountError:
        """Return the error for a COPY that loaded more or fewer rows than allowed; `rows` is None if it is unknown."""
        loaded = "another number of" if rows is None else rows
        return RowCountError(
            f"COPY loaded {loaded} rows of {manifest.url}, which lists {manifest.records}; none of them is in "
            f"{self.target}. Files were changed or truncated after the manifest was written, or its counts are not "
            "numbers of rows: write the data again under a new run id"
        )

    def key_error(self, reason: str) -> KeyValuesError:
        """Return the error for keys that don't identify rows."""
        return KeyValuesError(
            f"keys={list(self.merge.keys)!r} don't identify the rows for {self.target}: {reason}. Nothing of the load "
            f"is in the table. {_KEYS_WITHOUT_ORDER if self.merge.order_by is None else _KEYS_WITH_ORDER}"
        )

    def result(self, outcome: Outcome, decision: Decision, rows: int = 0, attempts: int = 1) -> LoadResult:
        """Return the result for the caller."""
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
    """Return the error for a COPY that was rejected: where, why, and what to do."""
    begin = f"{failure.error(f'COPY of {manifest.url} into {target}')}. Nothing of the load is in the table. "
    if not found:
        return CopyError(f"{begin}Redshift's views of load errors have no details about its files")
    return CopyError(
        f"{begin}{describe(found)}. What to do: {way_out(found)}",
        found,
    )
