"""Loads as jobs and commands do them: tables are made where that is asked for, and a failure is a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError, S3BoxError, TransientLoadError
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.client.sessions import Connect
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.manifests import StoreReader
from beam_s3box.redshift.schema.manifest_columns import columns_of_manifests
from beam_s3box.redshift.sql.columns import Column
from beam_s3box.redshift.sql.ddl import alter_table_sql, create_table_sql
from beam_s3box.redshift.sql.quoting import folded
from beam_s3box.redshift.sql.target import Mode, Target, check_on_replaced, merge_of
from beam_s3box.stores import Credentials, S3Settings
from beam_s3box.stores.retries import Retry

T = TypeVar("T")

RETRY: Final = Retry(max_attempts=6, base_seconds=1.0, cap_seconds=30.0)

DATA_API_MANIFESTS: Final = 14
"""Manifests of one transaction over the Data API, which takes 40 statements: two for each, and up to 12 others."""

_ANY_CASE: Final = "auto ignorecase"
"""With `"auto"` COPY would leave columns empty, without a word, where keys have capital letters."""


class LoadFailure(NamedTuple):
    """A load that failed; nothing of it is in the table.

    Attributes:
      table: with its schema; "" if the manifest's own names make none.
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
    """How tables are made of what manifests list.

    Attributes:
      sample: look at about so many records of a load only; None for all.
      exclude: keys that become no column.
      ignore_case: whether keys that differ in case only are one column.
    """

    sample: int | None = None
    exclude: Collection[str] = ()
    ignore_case: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableLoads:
    """All that loads into any table have in common. It holds settings only, and is pickled with a pipeline.

    Attributes:
      connection: see `RedshiftLoader`.
      mode, keys, order_by, columns: see `RedshiftLoader.load`.
      made: how tables are made, and grow; None if they are there.
      retry: attempts at a transaction, and the waits between them.
      settings: further arguments of `RedshiftLoader`. COPY matches keys in any case, unless `mapping` says otherwise.

    Raises:
      ConfigurationError: an argument that can't work. Nothing is connected yet.
    """

    connection: Connect | RedshiftDataApi
    mode: Mode = "append"
    keys: tuple[str, ...] = ()
    order_by: str | None = None
    columns: tuple[str, ...] | None = None
    made: TableCreation | None = None
    retry: Retry = RETRY
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        merge = merge_of(self.mode, self.keys, self.order_by)
        if self.columns is not None:
            if self.made is not None:
                raise ConfigurationError(
                    f"columns={list(self.columns)!r} and create_tables=True exclude each other: tables are made of all "
                    "keys; leave some out with exclude="
                )
            merge.check_columns(self.columns)
        check_on_replaced(self.settings.get("on_replaced", "refuse"), self.mode)
        self.loader()

    def __repr__(self) -> str:
        # settings and connections hold functions of the user's, which may show their arguments, and so a password
        return f"TableLoads({self.loader()!r}, mode={self.mode!r})"

    def loader(self) -> RedshiftLoader:
        """Return a loader; nothing is connected yet."""
        return RedshiftLoader(self.connection, retry=self.retry, **{"mapping": _ANY_CASE, **self.settings})

    def reaching(self, s3: S3Settings, credentials: Callable[[], Credentials | None] | None) -> TableLoads:
        """Return the same, with how to reach S3 for the manifests and their shards."""
        return dataclasses.replace(self, settings={**self.settings, "s3": s3, "s3_credentials": credentials})

    def outcomes(
        self, manifests: Iterable[Manifest | str], table: Target, *, one_by_one: bool = False
    ) -> Iterator[LoadResult | LoadFailure]:
        """Load manifests into one table and yield what became of that.

        All are one transaction; over the Data API, which has a limit, one for each `DATA_API_MANIFESTS`.

        Args:
          manifests: as a run returns them, or their URLs.
          table: where to.
          one_by_one: whether the manifests of a load that Redshift refuses are tried alone, in order, so that one
            that can't be loaded does not keep the others out.
        """
        for part in self._parts(sorted(manifests, key=_place)):
            try:
                yield self.load(part, table)
            except S3BoxError as exc:
                if one_by_one and len(part) > 1 and not isinstance(exc, TransientLoadError):
                    for manifest in part:
                        yield from self.outcomes([manifest], table)
                else:
                    yield LoadFailure(str(table), tuple(map(_url, part)), type(exc).__name__, str(exc))

    def load(self, manifests: Sequence[Manifest | str], table: Target) -> LoadResult:
        """Load manifests in one transaction, after the table was made.

        Raises:
          S3BoxError: see `RedshiftLoader.load`, `infer_columns` and `alter_table_sql`.
        """
        loader = self.loader()
        loader.target(table)
        if self.made is not None and manifests:
            columns = self._columns_of(manifests)
            self._repeat(lambda: make_table(loader, table, columns))
        return loader.load_all(
            manifests, table, self.mode, self.keys or None, order_by=self.order_by, columns=self.columns
        )

    def sql(self, manifests: Iterable[Manifest | str], table: Target) -> list[str]:
        """Return the statements of such loads, secrets masked, and load nothing; see `RedshiftLoader.sql`.

        Where tables are made, Redshift is not asked: the statements are those for a table that is not there yet.
        """
        statements: list[str] = []
        names = self.columns
        self.loader().target(table)
        for part in self._parts(sorted(manifests, key=_place)):
            if self.made is not None:
                columns = self._columns_of(part)
                statements.append(create_table_sql(table, columns))
                names = tuple(column.name for column in columns)
            statements += self.loader().sql(
                part, table, self.mode, self.keys or None, order_by=self.order_by, columns=names
            )
        return statements

    def check(self) -> None:
        """Raise LoadError if Redshift can't be reached, or refuses who asks."""
        self.loader().execute("SELECT 1")

    def _parts(self, manifests: Sequence[Manifest | str]) -> Iterator[Sequence[Manifest | str]]:
        size = len(manifests)
        if isinstance(self.connection, RedshiftDataApi) and self.mode != "truncate":
            size = DATA_API_MANIFESTS
        for begin in range(0, len(manifests), size or 1):
            yield manifests[begin : begin + size]

    def _columns_of(self, manifests: Iterable[Manifest | str]) -> list[Column]:
        made = self.made or TableCreation()
        fetch = self.settings.get("fetch") or StoreReader(self.settings.get("s3"), self.settings.get("s3_credentials"))
        return columns_of_manifests(
            manifests,
            fetch,
            sample=made.sample,
            exclude=made.exclude,
            ignore_case=made.ignore_case,
            format=self.settings.get("format", "json-lines"),
        )

    def _repeat(self, work: Callable[[], T]) -> T:
        number = 1
        while True:
            try:
                return work()
            except TransientLoadError:
                if number >= self.retry.max_attempts:
                    raise
            self.retry.sleep(self.retry.pause_seconds(number))
            number += 1


def make_table(loader: RedshiftLoader, table: Target, columns: Sequence[Column]) -> None:
    """Create a table if it is not there, and add the columns that it has not; the others stay as they are.

    Raises:
      LoadError: Redshift refuses.
    """
    try:
        _create_or_extend(loader, table, columns)
    except TransientLoadError:
        raise
    except LoadError:
        # another session may have made the same at the same time: then nothing is left to do
        _create_or_extend(loader, table, columns)


def _create_or_extend(loader: RedshiftLoader, table: Target, columns: Sequence[Column]) -> None:
    loader.execute(create_table_sql(table, columns))
    there = [Column(name, "SUPER") for name in loader.columns(table)]
    known = {folded(column.name) for column in there}
    new = [column for column in columns if folded(column.name) not in known]
    if new:
        loader.execute(*alter_table_sql(table, there, new))


def _place(manifest: Manifest | str) -> tuple[str, int, str]:
    return ("", 0, manifest) if isinstance(manifest, str) else (manifest.window, manifest.pane, manifest.url)


def _url(manifest: Manifest | str) -> str:
    return manifest if isinstance(manifest, str) else manifest.url
