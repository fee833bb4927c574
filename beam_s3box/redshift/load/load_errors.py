"""What Redshift's system views say of a COPY that failed: which file, line and column, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from beam_s3box.redshift.sql.types import MAX_VARCHAR_BYTES

MAX_ROWS: Final = 100
"""Rows that are asked for: a view may hold those of other loads of the same session too."""

_SHOWN = 3

_TOO_LONG = re.compile("exceeds DDL length", re.IGNORECASE)
_TOO_LONG_IN_SUPER = re.compile("exceeds the max size", re.IGNORECASE)
_TWICE = re.compile("duplicate (key|attribute)", re.IGNORECASE)


class LoadProblem(NamedTuple):
    """One place in a file that COPY refused.

    Attributes:
      file: URL of the shard.
      line: where the record ends, from 1; 0 if COPY does not say.
      column: that did not take the value; "" where it is no single one.
      reason: in Redshift's words.
      length: bytes that the column takes, 0 where that is not said.
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
    """Yield the queries for the newest problems, for `problems`; the first that the server knows says all.

    Args:
      process: the session's number in Redshift; None for the session that asks, 0 where it is not known.
    """
    number = "pg_backend_pid()" if process is None else f"{process:d}"
    here = "" if process == 0 else f"WHERE {{}} = {number} "
    # the first is there on serverless too, the second on old clusters
    yield (
        "SELECT file_name, line_number, column_name, error_message, column_length\nFROM sys_load_error_detail\n"
        f"{here.format('session_id')}ORDER BY start_time DESC LIMIT {MAX_ROWS:d}"
    )
    yield (
        "SELECT filename, line_number, colname, err_reason, col_length\nFROM stl_load_errors\n"
        f"{here.format('session')}ORDER BY starttime DESC LIMIT {MAX_ROWS:d}"
    )


def problems(rows: Iterable[Sequence[object]], files: Iterable[str]) -> tuple[LoadProblem, ...]:
    """Return those rows of a query that speak of these files, each place once.

    The views pad their texts with blanks, and cut the name of a file at 256 bytes.
    """
    known = {file.encode()[:256].decode(errors="ignore") for file in files}
    found = (_problem(row) for row in rows)
    return tuple(dict.fromkeys(problem for problem in found if problem.file in known))


def describe(found: Sequence[LoadProblem]) -> str:
    """Return the first problems in one sentence; "" if there are none."""
    shown = "; ".join(str(problem) for problem in found[:_SHOWN])
    return f"{shown}; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else shown


def way_out(found: Sequence[LoadProblem]) -> str:
    """Return what can be done about problems, in one sentence."""
    return "; ".join(dict.fromkeys(map(_advice, found[:_SHOWN])))


def _advice(problem: LoadProblem) -> str:
    most = f"{MAX_VARCHAR_BYTES:,} bytes"
    others = "leave such records out with maxerror= (above their number), or write the data again"
    if _TOO_LONG_IN_SUPER.search(problem.reason):
        return f"SUPER takes no text of more than {most}, and COPY can't cut it there: {others}"
    if _TOO_LONG.search(problem.reason):
        first = f"no column takes more than {most}: " if problem.length >= MAX_VARCHAR_BYTES else "widen the column, "
        return f"{first}cut texts with truncatecolumns=True, {others}"
    if _TWICE.search(problem.reason):
        return f"a key stands twice in a record, and what COPY makes of that is not defined: {others}"
    return f"change the column's type, {others}"


def _problem(row: Sequence[object]) -> LoadProblem:
    file, line, column, reason, length = (str(value).strip() if value is not None else "" for value in row)
    return LoadProblem(file, int(line or 0), column, reason, int(length) if length.isdecimal() else 0)
