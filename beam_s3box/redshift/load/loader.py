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

    Guarantees: a manifest is loaded into a table once, however often this is called, by however many at the same time,
    and wherever a connection broke. A load is one transaction: readers see all of it or nothing, and the table is never
    seen empty. What COPY loaded is counted and compared with the manifest. A table `beam_s3box_loads` beside the target
    keeps what is loaded; loads of tables that share a ledger wait for each other.

    The loader holds settings only, and is pickled with a pipeline; keys and passwords are not.

    Args:
      connection: a `RedshiftConnection`, a `RedshiftDataApi`, or a function that returns a new DB-API connection with
        autocommit off, such as `functools.partial(psycopg.connect, …)`.
      iam_role: that reads S3 for COPY; see `copy_sql`.
      credentials: keys in its place, or a function that finds them where the load runs; not for a `RedshiftDataApi`,
        which keeps its statements.
      region: of the bucket, where it is not the cluster's.
      format: of the shards.
      schema: of tables that name none.
      ledger: the ledger's name; without a schema it lies in the table's. `"{table}"` in it stands for the table, so
        that loads of different tables don't wait for each other.
      on_replaced: what is done with a manifest that was loaded and has been written anew since, with other shards, as
        an unbounded run does after a rollback: "refuse" it with an error, "skip" it, or "reload" it, which puts the
        right rows in place with the modes "truncate" and "upsert".
      s3, s3_credentials: how to reach S3 for the manifests themselves.
      fetch: reads a manifest; None for its store.
      retry: attempts at a whole transaction, and the waits between them.
      options: of COPY; see `copy_sql`.

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
        """Load a manifest into a table, if it is not there yet.

        Args:
          manifest: as a run returns it, or its URL.
          table: `"table"`, `"schema.table"` or `("schema", "table")`; names are taken in lower case.
          mode: "append"; "truncate" replaces all that is in the table; "upsert" replaces the rows with the same keys.
          keys: for "upsert": the columns that name a row.
          order_by: for "upsert": the column that says which of several rows is newer, also than the table's own.
          columns: that are loaded; None for all of the table but `IDENTITY` columns. A column that a record does not
            have becomes NULL; its default if it is NOT NULL and `columns` is None. The others get their defaults.

        Raises:
          ConfigurationError: an argument that can't work.
          CopyError: COPY refused a file; it says which, where and why.
          RowCountError: COPY loaded another number of rows than the manifest lists.
          KeyValuesError: keys are null, or stand more than once and `order_by` is not given.
          ManifestReplacedError: the manifest was loaded with other shards; see `on_replaced`.
          TransientLoadError: Redshift can't be reached, or others were in the way at each attempt. Load again: if it is
            there by then, nothing more happens.
          LoadError: Redshift refuses.
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

        Those that are there already are left out; with mode "truncate" all are loaded again if one is new, as the table
        is to hold them together. No manifests, or only such that list nothing, is the outcome "nothing-to-load", and
        touches no table.

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

        Redshift is asked for the table's columns where `columns` is None, and for nothing else. The statements are
        those for an empty ledger, in the form that checks itself.

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
        steps = BatchLoad.steps(plan, plan.decide([]), plan.check_columns(found))
        return ["BEGIN", *(mask_sql(step.sql) for step in steps), "COMMIT"]

    def target(self, table: TableName) -> Target:
        """Return the table that a name means, before anything is asked of Redshift or created there.

        Raises:
          ConfigurationError: no name of a table, or that of a ledger.
        """
        return self.settings.ledger.check_target(target_of(table, self.settings.schema))

    def columns(self, table: TableName) -> list[str]:
        """Return the names of a table's columns; raises LoadError if it is not there."""
        return self._tables.columns(self.target(table))

    def execute(self, *statements: str) -> None:
        """Run statements in a transaction of their own, such as those of `create_table_sql`.

        Raises:
          LoadError: Redshift refuses.
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
