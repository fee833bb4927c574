"""One COPY from its text to rows in the session's transaction."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from redshift_stand_in.avro_rows import avro_rows
from redshift_stand_in.backend import Backend, identifier, literal
from redshift_stand_in.convert import Column, convert
from redshift_stand_in.copy_authorization import Authorization
from redshift_stand_in.copy_options import CopyCommand
from redshift_stand_in.errors import RedshiftError, RowError, s3_error
from redshift_stand_in.json_rows import json_rows
from redshift_stand_in.load_log import Load, LoadLog
from redshift_stand_in.mapping import Mapping, by_name, by_path, whole
from redshift_stand_in.names import LongNames
from redshift_stand_in.rows import Row
from redshift_stand_in.session import LoadFailed
from redshift_stand_in.sources import File, Sources

_FIRST_QUERY = 1_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class Table(NamedTuple):
    """The table that is loaded.

    Attributes:
      sql: its name in quotes.
      name: as stored.
      oid: object id in the server.
      columns: to load, in the order of the list.
    """

    sql: str
    name: str
    oid: int
    columns: list[Column]


class Copying:
    """Runs COPY for all sessions.

    Args:
      clients: returns a boto3 client for the authorization of a COPY.
      log: records loads and their errors, also of transactions that are rolled back.
      names: that are too long for the server.
      region: region of the cluster and its bucket.
    """

    def __init__(self, clients: Callable[[Authorization], Any], log: LoadLog, names: LongNames, region: str) -> None:
        self._clients = clients
        self._log = log
        self._names = names
        self._region = region
        self._ids = itertools.count(_FIRST_QUERY)

    def run(self, backend: Backend, command: CopyCommand) -> tuple[int, int]:
        """Load, and return the id of the load and the number of rows."""
        table = self._table(backend, command)
        if command.region not in ("", self._region):
            raise s3_error(
                "S3ServiceException:The bucket you are attempting to access must be addressed using the specified "
                "endpoint. Please send all future requests to this endpoint.,Status 301,Error PermanentRedirect"
            )
        sources = Sources(self._clients(command.authorization))
        mapping = _mapping(command, table, sources)
        files = sources.files(command)
        first = next(files)
        load = self._log.begin(next(self._ids), backend, table.oid, table.name, command.source)
        try:
            lines = list(_lines(itertools.chain([first], files), command, table, mapping, load))
            if "NOLOAD" not in command.flags:
                self._insert(backend, table, lines)
        except RedshiftError as failure:
            load.failed(failure.message)
            raise LoadFailed(failure, load.query) from failure
        rows = 0 if "NOLOAD" in command.flags else len(lines)
        load.finished(rows)
        return load.query, rows

    def _table(self, backend: Backend, command: CopyCommand) -> Table:
        sql = ".".join(identifier(self._names.short(part.name)) for part in command.table)
        oid = backend.run(f"SELECT {literal(sql)}::regclass::oid").rows[0][0] or ""
        found = backend.run(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef, attidentity::text "
            f"FROM pg_attribute WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        known = {str(row[0]): row for row in found.rows}
        generated = [name for name, row in known.items() if row[3] == "a" and "EXPLICIT_IDS" not in command.flags]
        if command.columns is None:
            wanted = [name for name in known if not known[name][3]]
        else:
            wanted = [self._names.short(name) for name in command.columns]
        name = command.table[-1].name
        for column in wanted:
            if column not in known:
                raise RedshiftError(f'column "{column}" of relation "{name}" does not exist', "42703")
            if column in generated:
                raise RedshiftError(
                    f'cannot set an identity column "{column}" to a value without EXPLICIT_IDS', "42601"
                )
        if len(set(wanted)) < len(wanted):
            raise RedshiftError("a column is specified more than once", "42701")
        columns = [Column.of(self._original(one), str(known[one][1]), known[one][2] == "t") for one in wanted]
        return Table(sql, name, int(oid), columns)

    def _original(self, name: str) -> str:
        return self._names.originals.get(name, name)

    def _insert(self, backend: Backend, table: Table, lines: list[str]) -> None:
        columns = ", ".join(identifier(self._names.short(column.name)) for column in table.columns)
        backend.copy_in(f"COPY {table.sql} ({columns}) FROM STDIN", lines)


def _mapping(command: CopyCommand, table: Table, sources: Sources) -> Mapping:
    names = [column.name for column in table.columns]
    if command.mapping == "noshred":
        return whole([column.type for column in table.columns])
    if command.mapping.startswith("s3://"):
        return by_path(sources.read(command.mapping), names)
    return by_name(names, ignore_case=command.mapping == "auto ignorecase")


def _lines(files: Iterator[File], command: CopyCommand, table: Table, mapping: Mapping, load: Load) -> Iterator[str]:
    """Yield the rows in the server's text format; those that fail are recorded, and too many end the load."""
    failed = 0
    for file in files:
        last = 0
        for row in _rows(file, command):
            last = row.line
            try:
                yield _line(row, command, table, mapping)
            except RowError as error:
                failed += 1
                load.error(file.url, row, error, _column(table, error.column))
                if failed >= command.max_errors and "IGNOREALLERRORS" not in command.flags:
                    raise RedshiftError(
                        f"Load into table '{table.name}' failed.  Check 'stl_load_errors' system table for details.",
                        "XX000",
                    ) from error
        load.file(file.url, last, file.stored)


def _rows(file: File, command: CopyCommand) -> Iterator[Row]:
    return avro_rows(file.data) if command.format == "AVRO" else json_rows(file.data, command.skipped_lines)


def _line(row: Row, command: CopyCommand, table: Table, mapping: Mapping) -> str:
    if isinstance(row.value, RowError):
        raise row.value
    values = zip(mapping(row.value), table.columns, strict=True)
    return "\t".join(_field(convert(value, column, command)) for value, column in values) + "\n"


def _field(value: str | None) -> str:
    return "\\N" if value is None else value.translate(_ESCAPES)


def _column(table: Table, name: str) -> Column | None:
    return next((column for column in table.columns if column.name == name), None)
