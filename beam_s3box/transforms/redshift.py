"""CopyToRedshift: manifests into tables, as soon as they are written, each once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Unpack, get_args

import apache_beam as beam
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import S3Options
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.transforms.window import GlobalWindows

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError, S3BoxError
from beam_s3box.formats import Format
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.client.sessions import Connect
from beam_s3box.redshift.load.ledger import LEDGER
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.load.table_loads import RETRY, LoadFailure, TableCreation, TableLoads
from beam_s3box.redshift.sql.copy_options import CopyKeywords
from beam_s3box.redshift.sql.quoting import TableName
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Mode, OnReplaced, Target, merge_of, target_of
from beam_s3box.stores import Credentials, S3Settings
from beam_s3box.stores.retries import Retry
from beam_s3box.transforms.rewindow import into_global_window
from beam_s3box.transforms.runtime import BeamCounts
from beam_s3box.transforms.s3_options import credentials_of, settings_with_options

OnFailure = Literal["fail", "failures"]

RECORDS_LOADED = "records_loaded"
MANIFESTS_LOADED = "manifests_loaded"
LOAD_FAILURES = "load_failures"

_FAILED = "failures"
_KEYED = tuple[tuple[str, str], Manifest]


class CopyToRedshiftResult(NamedTuple):
    """What loads give back.

    Attributes:
      loads: one LoadResult for each transaction that went well, also where all was loaded before.
      failures: one LoadFailure for each that did not; empty with on_failure="fail".
    """

    loads: PCollection[LoadResult]
    failures: PCollection[LoadFailure]


class CopyToRedshift(beam.PTransform):
    """Loads manifests, as `WriteToS3Box` returns them, into tables of Redshift.

    *Guarantees*: a manifest is loaded into its table once, also where a runner repeats a bundle or goes on elsewhere: a
    ledger beside the tables is written in the transaction of the load. Of bounded input, all manifests of a table are
    one transaction: it has all of them or none. Manifests of unbounded input are loaded as they come; one that can't be
    loaded does not keep others out. There is one load at a time into a table, and one that fails stops no other table.

    *Windows*: any; loads happen in the global window, and there the results are. What a window's manifests hold
    is not taken back when a runner with unbounded input goes back and writes a manifest anew: see `on_replaced`.

    *Example*:

        result = records | WriteToS3Box("s3://bucket/flights", domain_field="carrier", namespace_field="origin")
        loaded = result.manifests | CopyToRedshift(
            "flights.{domain}_{namespace}",
            connection=RedshiftDataApi("dev", workgroup="analytics"),
            iam_role="arn:aws:iam::123456789012:role/redshift-copy",
            create_tables=True,
        )

    Args:
      table: `"table"`, `"schema.table"`, one in which `{domain}` and `{namespace}` stand for a stream's names, or a
        function from the Manifest to a table's name.
      connection: a `RedshiftConnection` without a password of its own, a `RedshiftDataApi`, or a function that returns
        a new DB-API connection. It is pickled with the pipeline, and called on the workers.
      iam_role: that reads S3 for COPY; see `copy_sql`.
      credentials: in its place, a function that finds keys on the worker.
      region: of the bucket, where it is not the cluster's.
      format: of the shards.
      schema: of tables that name none.
      mode: "append"; "truncate" replaces all that is in the table, for bounded input; "upsert" replaces the rows with
        the same keys.
      keys: for "upsert": the columns that name a row.
      order_by: for "upsert": the column that says which of several rows is newer.
      columns: that are loaded; None for all of the table.
      create_tables: whether tables are made of the keys and values in the shards, and get a column for each new key.
        Workers read the shards for that.
      sample, exclude, ignore_case: how; see `infer_columns`.
      on_failure: "fail" the pipeline, after the other tables of the bundle were loaded; or go on, with "failures" as
        rows.
      on_replaced: what is done with a manifest that was loaded and has been written anew since; see `RedshiftLoader`.
      ledger: the ledger's name; see `RedshiftLoader`.
      s3: how to reach S3 for the manifests, beyond Beam's `--s3_*` options, which also give the keys.
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
        on_failure: OnFailure = "fail",
        on_replaced: OnReplaced = "refuse",
        ledger: str = LEDGER,
        s3: S3Settings | None = None,
        retry: Retry = RETRY,
        **options: Unpack[CopyKeywords],
    ) -> None:
        super().__init__()
        self.table = table if callable(table) else TableTemplate(table, schema)
        self._schema = schema
        self._fails = _is_fail(on_failure)
        self._s3 = s3
        merge = merge_of(mode, keys, order_by)
        self.loads = TableLoads(
            connection=connection,
            mode=merge.mode,
            keys=merge.keys,
            order_by=merge.order_by,
            columns=None if columns is None else tuple(columns),
            made=TableCreation(sample, exclude, ignore_case) if create_tables else None,
            retry=retry,
            settings={
                "iam_role": iam_role,
                "credentials": credentials,
                "region": region,
                "format": format,
                "schema": schema,
                "on_replaced": on_replaced,
                "ledger": ledger,
                **options,
            },
        )
        if isinstance(self.table, TableTemplate) and self.table.is_constant:
            self.loads.loader().target(self.table.target(None, None))
        # a secret that can't travel shows here, and not in words of Beam's when the step is pickled
        pickler.dumps(self.loads)

    def expand(self, manifests: beam.PCollection[Manifest]) -> CopyToRedshiftResult:
        """Return what was loaded, and what was not."""
        self._check(manifests)
        s3 = manifests.pipeline.options.view_as(S3Options)
        loads = self.loads.reaching(settings_with_options(self._s3 or S3Settings(), s3), credentials_of(s3))
        named = (
            manifests
            | "WindowGlobally" >> (beam.WindowInto(GlobalWindows()) if manifests.is_bounded else into_global_window())
            | "NameTables" >> _tagged(_NameTables(self.table, self._schema, fails=self._fails), _KEYED)
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
        """Return the settings that runners show beside the step; no secret is among them."""
        table = self.table.table if isinstance(self.table, TableTemplate) else "by function"
        return {
            "table": DisplayDataItem(str(table), label="Table"),
            "mode": DisplayDataItem(self.loads.mode, label="Mode"),
            "redshift": DisplayDataItem(repr(self.loads.loader()), label="Redshift"),
            "create_tables": DisplayDataItem(self.loads.made is not None, label="Tables are made"),
        }

    def _check(self, manifests: beam.PCollection[Manifest]) -> None:
        if self.loads.mode == "truncate" and not manifests.is_bounded:
            raise ConfigurationError(
                "mode='truncate' and unbounded input exclude each other: every manifest would replace what those "
                "before it brought; use mode='append', or mode='upsert' with keys"
            )


class _NameTables(beam.DoFn):
    def __init__(self, table: TableTemplate | Callable[[Manifest], TableName], schema: str, *, fails: bool) -> None:
        self._table = table
        self._schema = schema
        self._fails = fails

    def process(self, manifest: Manifest) -> Iterator[tuple[tuple[str, str], Manifest] | TaggedOutput]:
        manifest = Manifest._make(manifest)  # a worker that has just decoded it holds a row of another class
        try:
            yield tuple(self._target(manifest)), manifest
        except S3BoxError as exc:
            if self._fails:
                raise
            yield TaggedOutput(_FAILED, LoadFailure("", (manifest.url,), type(exc).__name__, str(exc)))

    def _target(self, manifest: Manifest) -> Target:
        if isinstance(self._table, TableTemplate):
            return self._table.target(manifest.domain, manifest.namespace)
        return target_of(self._table(manifest), self._schema)


class _LoadTables(beam.DoFn):
    """Loads what belongs to one table; a bundle that fails has tried all of its tables."""

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
        rows = list(map(Manifest._make, manifests))
        for outcome in self._loads.outcomes(rows, Target(*names), one_by_one=not self._bounded):
            if isinstance(outcome, LoadResult):
                self._counts.count(RECORDS_LOADED, outcome.records)
                self._counts.count(MANIFESTS_LOADED, len(outcome.loaded))
                yield outcome
            else:
                self._counts.count(LOAD_FAILURES)
                self._failed.append(outcome)
                yield TaggedOutput(_FAILED, outcome)

    def finish_bundle(self) -> None:
        if self._fails and self._failed:
            raise LoadError(_sentence(self._failed))


def _sentence(failed: Sequence[LoadFailure]) -> str:
    others = sorted({failure.table for failure in failed[1:]} - {failed[0].table})
    more = f"; and loads into {', '.join(others)} failed too" if others else ""
    return f"{failed[0].message}{more}"


def _tagged(fn: beam.DoFn, element_type: Any) -> Any:
    """Return the step with a second output, for failures."""
    step = beam.ParDo(fn).with_output_types(element_type, **{_FAILED: LoadFailure})
    return step.with_outputs(_FAILED, main="main")


def _is_fail(on_failure: OnFailure) -> bool:
    if on_failure not in get_args(OnFailure):
        raise ConfigurationError(f"on_failure={on_failure!r} must be one of {', '.join(get_args(OnFailure))}")
    return on_failure == "fail"
