"""Loads as jobs and commands run them: tables are created if asked for, and a failure is a row."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from beam_s3box.checks import check_bool, check_whole
from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError, S3BoxError, TransientLoadError, UnreachableError
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.load.loaded_columns import LoadedColumns
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.plan import LoadResult, Plan
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.manifests import ListedManifest, StoreReader, names_of
from beam_s3box.redshift.schema.infer import check_exclude
from beam_s3box.redshift.schema.manifest_columns import columns_of_manifests
from beam_s3box.redshift.sql.columns import Column
from beam_s3box.redshift.sql.ddl import add_columns_sql, create_table_sql
from beam_s3box.redshift.sql.target import Merge, Target, check_on_replaced
from beam_s3box.stores import Credentials, S3Settings
from beam_s3box.system.threads import Threads

DATA_API_MANIFESTS: Final = 14
"""Manifests of one Data API transaction, which takes 40 statements: two for each manifest, and up to 12 others."""

DATA_API_NAMES: Final = 120
"""Names in such a transaction, of the manifests and of those that they replace: a statement takes 100 KB."""

_READERS: Final = 8

_SYSTEM_COLUMN: Final = "conflicts with a system column name"
"""What Redshift says of the names that its own columns have, as xmin; it documents no list of them."""


class LoadFailure(NamedTuple):
    """A load that failed; nothing of it is in the table.

    Attributes:
      table: with its schema; "" if the manifest's own names make no table name.
      manifests: their URLs.
      error: name of the error's class.
      message: what it says.
    """

    table: str
    manifests: tuple[str, ...]
    error: str
    message: str


@dataclasses.dataclass(frozen=True)
class TableCreation:
    """How tables are created from what manifests list.

    Attributes:
      sample: the approximate number of records of a load to look at; None for all.
      exclude: keys that become no column.
      ignore_case: whether keys that differ only in case are one column.

    Raises:
      ConfigurationError: an argument that can't work.
    """

    sample: int | None = None
    exclude: Collection[str] = ()
    ignore_case: bool = False

    def __post_init__(self) -> None:
        if self.sample is not None:
            check_whole("sample", self.sample, 1)
        check_exclude(self.exclude)
        check_bool("ignore_case", self.ignore_case)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableLoads:
    """What loads into any table have in common. It contains only settings, and is pickled with a pipeline.

    Attributes:
      settings: of the loader.
      merge: how rows come into a table.
      columns: to load; see `RedshiftLoader.load`.
      creation: how tables are created and extended; None if they exist.

    Raises:
      ConfigurationError: arguments that don't work together.
    """

    settings: LoadSettings
    merge: Merge = dataclasses.field(default_factory=Merge)
    columns: tuple[str, ...] | None = None
    creation: TableCreation | None = None

    def __post_init__(self) -> None:
        if self.columns is not None:
            if self.creation is not None:
                raise ConfigurationError(
                    f"columns={list(self.columns)!r} and create_tables=True are mutually exclusive: tables are created "
                    "from all keys; leave some out with exclude="
                )
            self.merge.check_columns(self.columns)
        check_on_replaced(self.settings.on_replaced, self.merge.mode)

    @property
    def loader(self) -> RedshiftLoader:
        """The loader; nothing is connected yet."""
        return RedshiftLoader.of(self.settings)

    def reaching(self, s3: S3Settings, credentials: Callable[[], Credentials | None] | None) -> TableLoads:
        """Return the same with other settings for reading manifests and shards from S3."""
        settings = dataclasses.replace(self.settings, fetch=StoreReader(s3, credentials))
        return dataclasses.replace(self, settings=settings)

    def outcomes(
        self, manifests: Iterable[Manifest | str], table: Target, *, one_by_one: bool = False
    ) -> Iterator[LoadResult | LoadFailure]:
        """Load manifests into one table and yield the results.

        All manifests are one transaction; over the Data API, which has a limit, one for each `DATA_API_MANIFESTS`.

        Args:
          manifests: as a run returns them, or their URLs.
          table: to load into.
          one_by_one: whether the manifests of a load that Redshift rejects are tried alone, in order, so that one
            that can't be loaded does not block the others.

        Raises:
          ConfigurationError: an argument that can't work, whatever the manifests are.
        """
        waiting = list(self._parts(sorted(manifests, key=_place)))
        while waiting:
            part, *waiting = waiting
            try:
                yield self.load(part, table)
            except ConfigurationError:
                raise
            except UnreachableError as exc:
                # the other parts would wait just as long
                yield failure_of(table, itertools.chain(part, *waiting), exc)
                return
            except S3BoxError as exc:
                if one_by_one and len(part) > 1 and not isinstance(exc, TransientLoadError):
                    waiting = [[manifest] for manifest in part] + waiting
                else:
                    yield failure_of(table, part, exc)

    def load(self, manifests: Iterable[Manifest | str], table: Target) -> LoadResult:
        """Load manifests in one transaction, after the table was created or extended.

        Raises:
          S3BoxError: see `RedshiftLoader.load`, `infer_columns` and `alter_table_sql`.
        """
        loader = self.loader
        plan = loader.plan(manifests, table, self.merge, self.columns)
        if self.creation is not None and plan.manifests:
            columns = self._columns_of(plan.manifests)
            self.settings.retry.run(lambda number: make_table(loader, table, columns), errors=TransientLoadError)
            plan = dataclasses.replace(plan, fetch=None)
        return loader.run(plan)

    def sql(self, manifests: Iterable[Manifest | str], table: Target) -> list[str]:
        """Return the statements of such loads with secrets masked, and load nothing; see `RedshiftLoader.sql`.

        If tables are created, Redshift is not asked: the statements are those for a table that does not exist yet.
        """
        return [
            statement
            for part in self._parts(sorted(manifests, key=_place))
            for statement in self._statements(self.loader.plan(part, table, self.merge, self.columns))
        ]

    def check(self) -> None:
        """Raise LoadError if Redshift can't be reached, or rejects the login."""
        self.loader.execute("SELECT 1")

    def _statements(self, plan: Plan) -> Iterator[str]:
        if self.creation is not None and plan.manifests:
            columns = self._columns_of(plan.manifests)
            yield create_table_sql(plan.target, columns)
            made = LoadedColumns(tuple(column.name for column in columns))
            plan = dataclasses.replace(plan, columns=made, fetch=None)
        yield from self.loader.statements(plan)

    def _parts(self, manifests: Sequence[Manifest | str]) -> Iterator[Sequence[Manifest | str]]:
        if not manifests:
            return
        if not isinstance(self.settings.connection, RedshiftDataApi) or self.merge.mode == "truncate":
            yield manifests
            return
        part: list[Manifest | str] = []
        names = 0
        for manifest, more in zip(manifests, self._names(manifests), strict=True):
            if part and (len(part) == DATA_API_MANIFESTS or names + more > DATA_API_NAMES):
                yield part
                part, names = [], 0
            part.append(manifest)
            names += more
        yield part

    def _names(self, manifests: Sequence[Manifest | str]) -> list[int]:
        """Return how many names each manifest has in the ledger; 1 for one that can't be read, which its load says."""
        threads = Threads(_READERS, "beam_s3box-names")
        return list(threads.map(lambda manifest: names_of(_url(manifest), self.settings.fetch), manifests))

    def _columns_of(self, manifests: Sequence[ListedManifest]) -> list[Column]:
        with _blaming_records():
            return columns_of_manifests(manifests, self.settings.fetch, **vars(self.creation))


@contextlib.contextmanager
def _blaming_records() -> Iterator[None]:
    """Raise LoadError for keys that can't be columns: other tables may load their records."""
    try:
        yield
    except ConfigurationError as exc:
        raise LoadError(str(exc)) from exc


def failure_of(table: Target | str, manifests: Iterable[Manifest | str], error: S3BoxError) -> LoadFailure:
    """Return the row for a load that failed."""
    return LoadFailure(str(table), tuple(map(_url, manifests)), type(error).__name__, str(error))


def make_table(loader: RedshiftLoader, table: Target, columns: Sequence[Column]) -> None:
    """Create a table if it does not exist, and add the missing columns; the existing ones stay as they are.

    Raises:
      LoadError: Redshift rejects a statement.
    """
    try:
        _create_or_extend(loader, table, columns)
    except TransientLoadError:
        raise
    except LoadError as exc:
        if _SYSTEM_COLUMN in str(exc):
            raise LoadError(
                f"records has a key that can't be a column's name: {exc}; rename it before it is written, exclude it "
                "(--redshift_exclude), or load it with a jsonpaths file"
            ) from exc
        # another session may have created the same at the same time: then nothing is left to do
        _create_or_extend(loader, table, columns)


def _create_or_extend(loader: RedshiftLoader, table: Target, columns: Sequence[Column]) -> None:
    loader.execute(create_table_sql(table, columns))
    existing = loader.columns(table)
    with _blaming_records():
        statements = add_columns_sql(table, existing, columns)
    if statements:
        loader.execute(*statements)


def _place(manifest: Manifest | str) -> tuple[str, int, str]:
    return ("", 0, manifest) if isinstance(manifest, str) else (manifest.window, manifest.pane, manifest.url)


def _url(manifest: Manifest | str) -> str:
    return manifest if isinstance(manifest, str) else manifest.url
