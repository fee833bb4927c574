"""The loader: manifests into tables, each exactly once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, Unpack

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError, TransientLoadError
from beam_s3box.formats import Format, format_named
from beam_s3box.redshift.client.connections import RedshiftConnection
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.client.sessions import Connect
from beam_s3box.redshift.load.data_api_load import BatchLoad
from beam_s3box.redshift.load.dbapi_load import SessionLoad
from beam_s3box.redshift.load.ledger import LEDGER, Decision, Ledger, LedgerName
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.plan import Copies, LoadResult, Plan, copy_keywords
from beam_s3box.redshift.load.table_admin import DataApiTables, SessionTables, tables_of
from beam_s3box.redshift.manifests import FetchBytes, StoreReader, check_format, read_manifests
from beam_s3box.redshift.sql.copy_options import CopyKeywords
from beam_s3box.redshift.sql.credentials import mask_sql
from beam_s3box.redshift.sql.quoting import TableName
from beam_s3box.redshift.sql.target import Mode, OnReplaced, Target, check_on_replaced, merge_of, target_of
from beam_s3box.stores import Credentials, S3Settings
from beam_s3box.stores.retries import Retry

_ANY_KEYS = Credentials("key", "secret")
"""In the place of keys that are found later, so that all the rest is checked at once."""

_RETRY = Retry(max_attempts=6, base_seconds=1.0, cap_seconds=30.0)


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
        on_replaced: OnReplaced = "refuse",
        s3: S3Settings | None = None,
        s3_credentials: Callable[[], Credentials | None] | None = None,
        fetch: FetchBytes | None = None,
        retry: Retry = _RETRY,
        **options: Unpack[CopyKeywords],
    ) -> None:
        self._connection = _check_connection(connection, credentials)
        self._credentials = credentials if callable(credentials) else None
        keys = _ANY_KEYS if callable(credentials) else credentials
        self._copies = Copies(iam_role, keys, region, format, copy_keywords(options))
        self._schema = schema
        self._ledger = LedgerName(ledger)
        self._on_replaced = check_on_replaced(on_replaced, "upsert")
        self._fetch = fetch or StoreReader(s3, s3_credentials)
        self._retry = retry
        target_of("table", schema, "schema")

    def __repr__(self) -> str:
        # a function of the user's may show its arguments, and so a password
        ours = isinstance(self._connection, RedshiftConnection | RedshiftDataApi)
        return f"RedshiftLoader({repr(self._connection) if ours else type(self._connection).__name__})"

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
        plan = self._plan(manifests, table, mode, keys, order_by, columns)
        if not plan.manifests:
            return plan.result("nothing-to-load", Decision((), (), ()))
        return self._repeat(self._attempt(plan))

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
        plan = self._plan(manifests, table, mode, keys, order_by, columns)
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
        return self._ledger.check_target(target_of(table, self._schema))

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
        return tables_of(self._connection)

    def _plan(
        self,
        manifests: Iterable[Manifest | str],
        table: TableName,
        mode: Mode,
        keys: str | Sequence[str] | None,
        order_by: str | None,
        columns: Sequence[str] | None,
    ) -> Plan:
        merge = merge_of(mode, keys, order_by)
        target = self.target(table)
        on_replaced = check_on_replaced(self._on_replaced, mode)
        if columns is not None:
            merge.check_columns(columns)
        listed = tuple(read_manifests(manifests, self._fetch))
        check_format(format_named(self._copies.format, finds_schema=True), listed)
        return Plan(
            target,
            Ledger(self._ledger.of(target), target),
            listed,
            merge,
            self._find_keys(),
            None if columns is None else LoadedColumns(tuple(columns)),
            on_replaced,
        )

    def _find_keys(self) -> Copies:
        return dataclasses.replace(self._copies, credentials=self._credentials()) if self._credentials else self._copies

    def _attempt(self, plan: Plan) -> _Attempt:
        if isinstance(self._connection, RedshiftDataApi):
            return BatchLoad(self._connection, plan)
        return SessionLoad(self._connection, plan)

    def _repeat(self, attempt: _Attempt) -> LoadResult:
        number = 1
        while True:
            try:
                return attempt(number)
            except TransientLoadError as exc:
                if number >= self._retry.max_attempts:
                    raise TransientLoadError(_give_up(exc, number, attempt.is_in_doubt)) from exc
            self._retry.sleep(self._retry.pause_seconds(number))
            number += 1


def _give_up(error: LoadError, attempts: int, is_in_doubt: bool) -> str:
    doubt = "it is not known whether it was committed; " if is_in_doubt else ""
    return f"{error} ({attempts} attempts); {doubt}load again, what is there by then is not loaded twice"


def _check_connection(connection: Connect | RedshiftDataApi, credentials: object) -> Connect | RedshiftDataApi:
    if isinstance(connection, RedshiftDataApi):
        if credentials is not None:
            raise ConfigurationError(
                "credentials= would stand in the history of statements that the Data API keeps: use iam_role="
            )
    elif not callable(connection):
        raise ConfigurationError(
            f"connection={type(connection).__name__} must be a RedshiftConnection, a RedshiftDataApi, or a function "
            "that returns a new DB-API connection"
        )
    return connection
