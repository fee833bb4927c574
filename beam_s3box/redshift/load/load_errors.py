"""Why a COPY failed, from Redshift's system views: file, line, column and reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from beam_s3box.redshift.sql.types import MAX_VARCHAR_BYTES

MAX_ROWS: Final = 100
"""Rows to ask for: a view may also have those of other loads of the same session."""

_SHOWN = 3

_TOO_LONG = re.compile("exceeds DDL length", re.IGNORECASE)
_TOO_LONG_IN_SUPER = re.compile("exceeds the max size", re.IGNORECASE)
_TWICE = re.compile("duplicate (key|attribute)", re.IGNORECASE)


class LoadProblem(NamedTuple):
    """One place in a file that COPY rejected.

    Attributes:
      file: URL of the shard.
      line: where the record ends, from 1; 0 if it is unknown.
      column: that rejected the value; "" if it is not a single one.
      reason: Redshift's message.
      length: of the column in bytes; 0 if it is unknown.
    """

    file: str
    line: int
    column: str
    reason: str
    length: int = 0

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        return f"{self.file}, line {self.line}{column}: {self.reason}"


def queries(process: int | None) -> Iterable[str]:
    """Yield the queries for the newest problems, for `problems`; use the first one that the server supports.

    Args:
      process: the session's number in Redshift; None for the session that asks, 0 if it is unknown.
    """
    number = "pg_backend_pid()" if process is None else f"{process:d}"
    here = "" if process == 0 else f"WHERE {{}} = {number} "
    # the first exists on serverless too, the second on old clusters
    yield (
        "SELECT file_name, line_number, column_name, error_message, column_length\nFROM sys_load_error_detail\n"
        f"{here.format('session_id')}ORDER BY start_time DESC LIMIT {MAX_ROWS:d}"
    )
    yield (
        "SELECT filename, line_number, colname, err_reason, col_length\nFROM stl_load_errors\n"
        f"{here.format('session')}ORDER BY starttime DESC LIMIT {MAX_ROWS:d}"
    )


def problems(rows: Iterable[Sequence[object]], files: Iterable[str]) -> tuple[LoadProblem, ...]:
    """Return the rows of a query that are about these files, each place once.

    The views pad texts with spaces, and cut the name of a file after 256 bytes.
    """
    known = {file.encode()[:256].decode(errors="ignore") for file in files}
    found = (_problem(row) for row in rows)
    return tuple(dict.fromkeys(problem for problem in found if problem.file in known))


def describe(found: Sequence[LoadProblem]) -> str:
    """Return the first problems in one sentence; "" if there are none."""
    shown = "; ".join(str(problem) for problem in found[:_SHOWN])
    return f"{shown}; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else shown


def way_out(found: Sequence[LoadProblem]) -> str:
    """Return how to fix the problems, in one sentence."""
    return "; ".join(dict.fromkeys(map(_advice, found[:_SHOWN])))


def _advice(problem: LoadProblem) -> str:
    most = f"{MAX_VARCHAR_BYTES:,} bytes"
    others = "skip such records with maxerror (--redshift_maxerror) above their number, or write the data again"
    if _TOO_LONG_IN_SUPER.search(problem.reason):
        return f"SUPER takes no text of more than {most}, and COPY can't truncate it there: {others}"
    if _TOO_LONG.search(problem.reason):
        first = f"no column takes more than {most}: " if problem.length >= MAX_VARCHAR_BYTES else "widen the column, "
        return f"{first}truncate texts with truncatecolumns (--redshift_truncatecolumns), {others}"
    if _TWICE.search(problem.reason):
        return f"a key is twice in a record, and what COPY does then is not defined: {others}"
    return f"change the column's type, {others}"


def _problem(row: Sequence[object]) -> LoadProblem:
    file, line, column, reason, length = (str(value).strip() if value is not None else "" for value in row)
    return LoadProblem(file, int(line or 0), column, reason, int(length) if length.isdecimal() else 0)
