"""The loader: manifests into tables, each exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, Unpack

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import TransientLoadError
from beam_s3box.formats import Format, format_named
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.client.sessions import Connect
from beam_s3box.redshift.load.data_api_load import BatchLoad
from beam_s3box.redshift.load.dbapi_load import SessionLoad
from beam_s3box.redshift.load.ledger import LEDGER, Decision, Ledger, LedgerName
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.plan import LoadResult, Plan
from beam_s3box.redshift.load.settings import RETRY, LoadSettings
from beam_s3box.redshift.load.table_admin import DataApiTables, SessionTables, tables_of
from beam_s3box.redshift.manifests import FetchBytes, StoreReader, check_format, read_manifests
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.copy_options import CopyKeywords, CopyOptions
from beam_s3box.redshift.sql.credentials import mask_sql
from beam_s3box.redshift.sql.quoting import TableName
from beam_s3box.redshift.sql.target import Merge, Mode, OnReplaced, Target, check_on_replaced, merge_of, target_of
from beam_s3box.stores import Credentials, S3Settings
from beam_s3box.stores.retries import Retry


class _Attempt(Protocol):
    @property
    def is_in_doubt(self) -> bool: ...

    def __call__(self, number: int) -> LoadResult: ...


class RedshiftLoader:
    """Loads manifests into tables.

    Guarantees: a manifest is loaded into a table once, however often this is called, also by several processes at the
    same time, and wherever a connection broke. A load is one transaction: readers see all of it or nothing, and never
    an empty table. The rows that COPY loaded are counted and compared with the manifest. A table `beam_s3box_loads`
    next to the target, the ledger, records what is loaded; loads of tables that share a ledger wait for each other.

    The loader contains only settings, and can be pickled with a pipeline; keys and passwords can't.

    Args:
      connection: a `RedshiftConnection`, a `RedshiftDataApi`, or a function that returns a new DB-API connection with
        autocommit off, such as `functools.partial(psycopg.connect, …)`.
      iam_role: the role that reads S3 for COPY; see `copy_sql`.
      credentials: keys instead of a role, or a function that finds them where the load runs; not for a
        `RedshiftDataApi`, which keeps its statements.
      region: of the bucket, if it is not the cluster's.
      format: of the shards.
      schema: of tables whose names have none.
      ledger: the ledger's name; without a schema it is in the table's. `"{table}"` in it is replaced by the table's
        name, so that loads of different tables don't wait for each other.
      on_replaced: what to do with a manifest that was loaded and has been written again since, with other shards, as
        an unbounded run does after a rollback: "error" raises, "skip" leaves the table as it is, "reload" loads it
        again, which replaces the rows with the modes "truncate" and "upsert".
      s3: how to reach S3 for the manifests themselves.
      s3_credentials: returns the keys for them.
      fetch: reads a manifest; None for a `StoreReader`.
      retry: attempts at a whole transaction, and the waits between them.
      options: of COPY; see `copy_sql`.

    Attributes:
      settings: all of these.

    Raises:
      ConfigurationError: an argument that can't work. Nothing is connected yet.
    """

    def __init__(
        self,
        connection: Connect | RedshiftDataApi,
        *,
        iam_role: str | Sequence[str] | None = None,
        credentials: Credentials | Callable[[], Credentials] | None = None,
        region: str | None = None,
        format: str | Format = "json-lines",
        schema: str = "public",
        ledger: str = LEDGER,
        on_replaced: OnReplaced = "error",
        s3: S3Settings | None = None,
        s3_credentials: Callable[[], Credentials | None] | None = None,
        fetch: FetchBytes | None = None,
        retry: Retry = RETRY,
        **options: Unpack[CopyKeywords],
    ) -> None:
        self.settings = LoadSettings(
            connection=connection,
            copy=CopySettings(iam_role, credentials, region, format, CopyOptions.of(options)),
            schema=schema,
            ledger=LedgerName(ledger),
            on_replaced=on_replaced,
            fetch=fetch or StoreReader(s3, s3_credentials),
            retry=retry,
        )

    @classmethod
    def of(cls, settings: LoadSettings) -> RedshiftLoader:
        """Return the loader with these settings."""
        loader = cls.__new__(cls)
        loader.settings = settings
        return loader

    def __repr__(self) -> str:
        return repr(self.settings).replace("LoadSettings", "RedshiftLoader", 1)

    def load(
        self,
        manifest: Manifest | str,
        table: TableName,
        mode: Mode = "append",
        keys: str | Sequence[str] | None = None,
        *,
        order_by: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> LoadResult:
        """Load a manifest into a table, unless it is loaded already.

        Args:
          manifest: as a run returns it, or its URL.
          table: `"table"`, `"schema.table"` or `("schema", "table")`; names are taken in lower case.
          mode: "append"; "truncate" replaces all rows of the table; "upsert" replaces the rows with the same keys.
          keys: for "upsert": the columns that identify a row.
          order_by: for "upsert": the column that says which of several rows is newer, including the table's own.
          columns: to load; None for all columns of the table except `IDENTITY` columns. A column that is missing in a
            record becomes NULL, or its default if it is NOT NULL and `columns` is None. All others get their defaults.

        Raises:
          ConfigurationError: an argument that can't work.
          CopyError: COPY rejected a file: names file, line, column and reason.
          RowCountError: COPY loaded another number of rows than the manifest lists.
          KeyValuesError: keys are null, or not unique without `order_by`.
          ManifestReplacedError: the manifest was loaded with other shards; see `on_replaced`.
          TransientLoadError: Redshift can't be reached, or there was a conflict at each attempt. Load again: a manifest
            that is loaded by then is not loaded twice.
          LoadError: Redshift rejects a statement, or no column of the table is a key of the records.
          StoreError: the manifest can't be read.
        """
        return self.load_all([manifest], table, mode, keys, order_by=order_by, columns=columns)

    def load_all(
        self,
        manifests: Iterable[Manifest | str],
        table: TableName,
        mode: Mode = "append",
        keys: str | Sequence[str] | None = None,
        *,
        order_by: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> LoadResult:
        """Load several manifests in one transaction: all of them or none.

        Manifests that are loaded already are skipped; with mode "truncate" all are loaded again if one is new, as the
        table is to have the rows of all of them. If there are no manifests, or all are empty, the outcome is
        "nothing-to-load", and no table is touched.

        Args, errors: as `load`.
        """
        return self.run(self.plan(manifests, table, merge_of(mode, keys, order_by), columns))

    def sql(
        self,
        manifests: Iterable[Manifest | str],
        table: TableName,
        mode: Mode = "append",
        keys: str | Sequence[str] | None = None,
        *,
        order_by: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[str]:
        """Return the statements of such a load, with secrets masked, and load nothing.

        Redshift is only asked for the table's columns, if `columns` is None. The statements are those for an empty
        ledger, as a Data API batch has them.

        Args, errors: as `load`.
        """
        return self.statements(self.plan(manifests, table, merge_of(mode, keys, order_by), columns))

    def plan(
        self, manifests: Iterable[Manifest | str], table: TableName, merge: Merge, columns: Sequence[str] | None = None
    ) -> Plan:
        """Check a load and read its manifests; Redshift is not asked.

        Raises:
          ConfigurationError: an argument that can't work.
          LoadError: an invalid manifest, or one that does not count.
          StoreError: a manifest can't be read.
        """
        settings, target = self.settings, self.target(table)
        check_on_replaced(settings.on_replaced, merge.mode)
        if columns is not None:
            merge.check_columns(columns)
        listed = tuple(read_manifests(manifests, settings.fetch))
        check_format(format_named(settings.copy.format, finds_schema=True), listed)
        return Plan(
            target,
            Ledger(settings.ledger.of(target), target),
            listed,
            merge,
            settings.copy.with_keys(),
            None if columns is None else LoadedColumns(tuple(columns)),
            settings.on_replaced,
            settings.fetch,
        )

    def run(self, plan: Plan) -> LoadResult:
        """Carry out a load; see `load_all`."""
        if not plan.manifests:
            return plan.result("nothing-to-load", Decision((), (), ()))
        attempt = self._attempt(plan)
        try:
            result, _ = self.settings.retry.run(attempt, errors=TransientLoadError)
        except TransientLoadError as exc:
            raise type(exc)(_explain_retries(exc, self.settings.retry, attempt.is_in_doubt)) from exc
        return result

    def statements(self, plan: Plan) -> list[str]:
        """Return the statements of a load; see `sql`."""
        if not plan.manifests:
            return []
        found = plan.columns or self._tables.loadable(plan.target)
        decision = plan.decide([])
        steps = BatchLoad.steps(plan, decision, plan.check_columns(found, decision))
        return ["BEGIN", *(mask_sql(step.sql) for step in steps), "COMMIT"]

    def target(self, table: TableName) -> Target:
        """Return the table with this name; Redshift is not asked.

        Raises:
          ConfigurationError: an invalid table name, or that of a ledger.
        """
        return self.settings.ledger.check_target(target_of(table, self.settings.schema))

    def columns(self, table: TableName) -> list[str]:
        """Return the names of a table's columns; raises LoadError if it does not exist."""
        return self._tables.columns(self.target(table))

    def execute(self, *statements: str) -> None:
        """Run statements in a transaction of their own, such as those of `create_table_sql`.

        Raises:
          LoadError: Redshift rejects one.
        """
        self._tables.execute(statements)

    @property
    def _tables(self) -> SessionTables | DataApiTables:
        return tables_of(self.settings.connection)

    def _attempt(self, plan: Plan) -> _Attempt:
        connection = self.settings.connection
        return BatchLoad(connection, plan) if isinstance(connection, RedshiftDataApi) else SessionLoad(connection, plan)


def _explain_retries(error: TransientLoadError, retry: Retry, is_in_doubt: bool) -> str:
    doubt = "it is not known whether it was committed; " if is_in_doubt else ""
    return f"{error} ({retry.max_attempts} attempts); {doubt}load again: what is loaded by then is not loaded twice"
