"""CopyToRedshift: manifests into tables, as soon as they are written, each once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Unpack, get_args

import apache_beam as beam
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import S3Options
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.transforms.window import GlobalWindows

from beam_s3box.checks import check_bool, check_names
from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError, S3BoxError, UnreachableError
from beam_s3box.formats import Format
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.client.sessions import Connect
from beam_s3box.redshift.load.ledger import LEDGER, LedgerName
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.load.settings import RETRY, LoadSettings
from beam_s3box.redshift.load.table_loads import LoadFailure, TableCreation, TableLoads, failure_of
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.copy_options import ANY_CASE, CopyKeywords, CopyOptions
from beam_s3box.redshift.sql.quoting import TableName
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Mode, OnReplaced, Target, merge_of
from beam_s3box.stores.retries import Retry
from beam_s3box.stores.s3_settings import Credentials, S3Settings, s3_settings_of
from beam_s3box.transforms.rewindow import into_global_window
from beam_s3box.transforms.runtime import BeamCounts
from beam_s3box.transforms.s3_options import credentials_of, settings_with_options

OnFailure = Literal["error", "emit"]

RECORDS_LOADED = "records_loaded"
MANIFESTS_LOADED = "manifests_loaded"
LOAD_FAILURES = "load_failures"

_LOGGER = logging.getLogger(__name__)
_FAILED = "failures"
_KEYED = tuple[tuple[str, str], Manifest]


class CopyToRedshiftResult(NamedTuple):
    """The outputs of `CopyToRedshift`.

    Attributes:
      loads: one LoadResult for each transaction that succeeded, also if everything was loaded before.
      failures: one LoadFailure for each that failed; empty with on_failure="error".
    """

    loads: PCollection[LoadResult]
    failures: PCollection[LoadFailure]


class CopyToRedshift(beam.PTransform):
    """Loads manifests, as `WriteToS3Box` returns them, into Redshift tables.

    *Guarantees*: a manifest is loaded into its table once, also if a runner repeats a bundle or continues on another
    worker: a ledger next to the tables is written in the transaction of the load. All manifests of a table are one
    transaction if the input is bounded: the table has all of them or none. Manifests of unbounded input are loaded as
    they arrive; one that can't be loaded does not block the others. There is one load at a time into a table, and one
    that fails does not stop other tables, unless Redshift can't be reached at all.

    *Windows*: any; loads happen in the global window, and the results are in it. What a window's manifests list
    is not taken back when a runner with unbounded input goes back and writes a manifest again: see `on_replaced`.

    *Example*:

        result = records | WriteToS3Box("s3://bucket/flights", domain_field="carrier", namespace_field="origin")
        loaded = result.manifests | CopyToRedshift(
            "flights.{domain}_{namespace}",
            connection=RedshiftDataApi("dev", workgroup="analytics"),
            iam_role="arn:aws:iam::123456789012:role/redshift-copy",
            create_tables=True,
        )

    Args:
      table: `"table"`, `"schema.table"`, a template in which `{domain}` and `{namespace}` are replaced by a stream's
        names, or a function from the Manifest to a table's name.
      connection: a `RedshiftConnection` without a password of its own, a `RedshiftDataApi`, or a function that returns
        a new DB-API connection. It is pickled with the pipeline, and called on the workers.
      iam_role: the role that reads S3 for COPY; see `copy_sql`.
      credentials: instead of a role, a function that finds keys on the worker.
      region: of the bucket, if it is not the cluster's.
      format: of the shards.
      schema: of tables whose names have none.
      mode: "append"; "truncate" replaces all rows of the table, for bounded input; "upsert" replaces the rows with the
        same keys.
      keys: for "upsert": the columns that identify a row.
      order_by: for "upsert": the column that says which of several rows is newer.
      columns: to load; None for all columns of the table.
      create_tables: whether tables are created from the keys and values in the shards, and extended by a column for
        each new key. Workers read the shards for that.
      sample: how many records are looked at for columns; see `infer_columns`.
      exclude: keys that become no column.
      ignore_case: whether keys that differ in case only are one column.
      on_failure: "error" fails the pipeline, after the other tables of the bundle were loaded; "emit" goes on, and
        failed loads are rows of `failures`. Each failure is logged. A `ConfigurationError` fails the pipeline always.
      on_replaced: what to do with a manifest that was loaded and has been written again since; see `RedshiftLoader`.
      ledger: the ledger's name; see `RedshiftLoader`.
      s3: how to reach S3 for the manifests, in addition to Beam's `--s3_*` options, which also have the keys.
      retry: attempts at a transaction, and the waits between them.
      options: of COPY, see `CopyOptions`; keys match columns in any case, unless `mapping` says otherwise.

    Attributes:
      table: a template, or the function.
      loads: what loads into any table have in common.

    Raises:
      ConfigurationError: an argument that can't work. Nothing is connected when the pipeline is built.
    """

    def __init__(
        self,
        table: TableName | Callable[[Manifest], TableName],
        *,
        connection: Connect | RedshiftDataApi,
        iam_role: str | Sequence[str] | None = None,
        credentials: Callable[[], Credentials] | None = None,
        region: str | None = None,
        format: str | Format = "json-lines",
        schema: str = "public",
        mode: Mode = "append",
        keys: str | Sequence[str] | None = None,
        order_by: str | None = None,
        columns: Sequence[str] | None = None,
        create_tables: bool = False,
        sample: int | None = None,
        exclude: Collection[str] = (),
        ignore_case: bool = False,
        on_failure: OnFailure = "error",
        on_replaced: OnReplaced = "error",
        ledger: str = LEDGER,
        s3: S3Settings | None = None,
        retry: Retry = RETRY,
        **options: Unpack[CopyKeywords],
    ) -> None:
        super().__init__()
        self.table = table if callable(table) else TableTemplate(table, schema)
        self._fails = _raises(on_failure)
        self._s3, creates = s3_settings_of(s3), check_bool("create_tables", create_tables)
        self.loads = TableLoads(
            settings=LoadSettings(
                connection=connection,
                copy=CopySettings(iam_role, credentials, region, format, CopyOptions.of({**ANY_CASE, **options})),
                schema=schema,
                ledger=LedgerName(ledger),
                on_replaced=on_replaced,
                retry=retry,
            ),
            merge=merge_of(mode, keys, order_by),
            columns=None if columns is None else check_names("columns", columns, "['id', 'name']"),
            creation=TableCreation(sample, exclude, ignore_case) if creates else None,
        )
        if isinstance(self.table, TableTemplate) and self.table.is_constant:
            self.loads.loader.target(self.table.target(None, None))
        # a secret that can't be pickled is an error here, with our message instead of Beam's
        pickler.dumps(self.loads)

    def expand(self, manifests: beam.PCollection[Manifest]) -> CopyToRedshiftResult:
        """Return the results and the failures."""
        self._check(manifests)
        s3 = manifests.pipeline.options.view_as(S3Options)
        loads = self.loads.reaching(settings_with_options(self._s3, s3), credentials_of(s3))
        named = (
            manifests
            | "WindowGlobally" >> (beam.WindowInto(GlobalWindows()) if manifests.is_bounded else into_global_window())
            | "NameTables" >> _tagged(_NameTables(self.table, self.loads.loader, fails=self._fails), _KEYED)
        )
        loaded = (
            named.main
            | "GroupByTable" >> beam.GroupByKey()
            | "LoadTables" >> _tagged(_LoadTables(loads, bounded=manifests.is_bounded, fails=self._fails), LoadResult)
        )
        return CopyToRedshiftResult(
            loads=loaded.main,
            failures=(named[_FAILED], loaded[_FAILED]) | "Failures" >> beam.Flatten(),
        )

    def display_data(self) -> dict[str, Any]:
        """Return the settings that runners show with the step; none is a secret."""
        table = self.table.table if isinstance(self.table, TableTemplate) else "by function"
        return {
            "table": DisplayDataItem(str(table), label="Table"),
            "mode": DisplayDataItem(self.loads.merge.mode, label="Mode"),
            "redshift": DisplayDataItem(repr(self.loads.loader), label="Redshift"),
            "create_tables": DisplayDataItem(self.loads.creation is not None, label="Creates tables"),
        }

    def _check(self, manifests: beam.PCollection[Manifest]) -> None:
        if self.loads.merge.mode == "truncate" and not manifests.is_bounded:
            raise ConfigurationError(
                "mode='truncate' and unbounded input are mutually exclusive: every manifest would replace the rows of "
                "those before it; use mode='append', or mode='upsert' with keys="
            )


class _NameTables(beam.DoFn):
    """Names the table of each manifest; a stream's own names may be invalid, and fail nothing else."""

    def __init__(
        self, table: TableTemplate | Callable[[Manifest], TableName], loader: RedshiftLoader, *, fails: bool
    ) -> None:
        self._table = table
        self._loader = loader
        self._fails = fails

    def process(self, manifest: Manifest) -> Iterator[tuple[tuple[str, str], Manifest] | TaggedOutput]:
        manifest = Manifest._make(manifest)  # a worker that has just decoded it has a row of another class
        if isinstance(self._table, TableTemplate):
            self._table.check_stream(manifest.domain, manifest.namespace)
        try:
            yield tuple(self._loader.target(self._name(manifest))), manifest
        except S3BoxError as exc:
            failure = failure_of("", [manifest], exc)
            _log(failure)
            if self._fails:
                raise
            yield TaggedOutput(_FAILED, failure)

    def _name(self, manifest: Manifest) -> TableName:
        if isinstance(self._table, TableTemplate):
            return self._table.target(manifest.domain, manifest.namespace)
        return self._table(manifest)


class _LoadTables(beam.DoFn):
    """Loads the manifests of one table; a bundle that fails has tried all of its tables.

    If Redshift can't be reached, the other tables of the bundle fail at once: each would wait as long.
    """

    def __init__(self, loads: TableLoads, *, bounded: bool, fails: bool) -> None:
        self._loads = loads
        self._bounded = bounded
        self._fails = fails

    def setup(self) -> None:
        self._counts = BeamCounts()

    def start_bundle(self) -> None:
        self._failed: list[LoadFailure] = []

    def process(self, element: tuple[tuple[str, str], Iterable[Manifest]]) -> Iterator[LoadResult | TaggedOutput]:
        names, manifests = element
        for outcome in self._outcomes(Target(*names), list(map(Manifest._make, manifests))):
            if isinstance(outcome, LoadResult):
                self._counts.count(RECORDS_LOADED, outcome.records)
                self._counts.count(MANIFESTS_LOADED, len(outcome.loaded))
                yield outcome
            else:
                self._counts.count(LOAD_FAILURES)
                self._failed.append(outcome)
                _log(outcome)
                yield TaggedOutput(_FAILED, outcome)

    def finish_bundle(self) -> None:
        if self._fails and self._failed:
            raise LoadError(_sentence(self._failed))

    def _outcomes(self, table: Target, manifests: list[Manifest]) -> Iterator[LoadResult | LoadFailure]:
        unreachable = next((one for one in self._failed if one.error == UnreachableError.__name__), None)
        if unreachable is None:
            yield from self._loads.outcomes(manifests, table, one_by_one=not self._bounded)
        else:
            yield failure_of(table, manifests, UnreachableError(f"not tried: {unreachable.message}"))


def _log(failure: LoadFailure) -> None:
    _LOGGER.error(
        "loading %d manifests into %s failed, the first is %s: %s",
        len(failure.manifests),
        failure.table or "a table",
        failure.manifests[0],
        failure.message,
    )


def _sentence(failed: Sequence[LoadFailure]) -> str:
    others = sorted({failure.table for failure in failed[1:]} - {failed[0].table})
    more = f"; and loads into {', '.join(others)} failed too" if others else ""
    return f"{failed[0].message}{more}"


def _tagged(fn: beam.DoFn, element_type: Any) -> Any:
    """Return the step with a second output, for failures."""
    step = beam.ParDo(fn).with_output_types(element_type, **{_FAILED: LoadFailure})
    return step.with_outputs(_FAILED, main="main")


def _raises(on_failure: OnFailure) -> bool:
    if on_failure not in get_args(OnFailure):
        raise ConfigurationError(f"on_failure={on_failure!r} must be one of {', '.join(get_args(OnFailure))}")
    return on_failure == "error"
