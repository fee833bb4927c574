"""What Redshift's system views say of a COPY that failed: which file, line and column, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

MAX_ROWS: Final = 100
"""Rows that are asked for: a view may hold those of other loads of the same session too."""

_SHOWN = 3


class LoadProblem(NamedTuple):
    """One place in a file that COPY refused.

    Attributes:
      file: URL of the shard.
      line: where the record ends, from 1; 0 if COPY does not say.
      column: that did not take the value; "" where it is no single one.
      reason: in Redshift's words.
    """

    file: str
    line: int
    column: str
    reason: str

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
        "SELECT file_name, line_number, column_name, error_message\nFROM sys_load_error_detail\n"
        f"{here.format('session_id')}ORDER BY start_time DESC LIMIT {MAX_ROWS:d}"
    )
    yield (
        "SELECT filename, line_number, colname, err_reason\nFROM stl_load_errors\n"
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


def _problem(row: Sequence[object]) -> LoadProblem:
    file, line, column, reason = (str(value).strip() if value is not None else "" for value in row)
    return LoadProblem(file, int(line or 0), column, reason)
