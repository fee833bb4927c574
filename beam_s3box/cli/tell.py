"""What a command says when it ends: the table, where things are, and whether every record arrived."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from beam_s3box.cli.logging import ToolLog
from beam_s3box.cli.report import RunReport
from beam_s3box.cli.table import balance_line, render_table
from beam_s3box.stores import Store

_MAX_URLS = 5
"""Manifests that are named on the terminal; the report has all."""


def tell(what: str, report: RunReport, store: Store, path: str | None, log: ToolLog) -> int:
    """Print what a run did, write its report, and return the exit code: 0 only if every record arrived.

    Args:
      what: ran, for the sentence that names a report which can't be written.
      report: of the run.
      store: where it wrote.
      path: of the report, None for none.
      log: knows the secrets.
    """
    print(f"run {report.run_id} to {store.root}\n{render_table(report)}\n{balance_line(report)}")
    for line in _places(report, store):
        print(line)
    try:
        _write_report(report, path)
    except OSError as exc:
        return end(1, f"the {what} finished, but --report={path!r} can't be written: {exc.strerror}", log)
    if not report.balances:
        return end(1, f"records are missing or doubled: {balance_line(report)}", log)
    return 0


def end(code: int, message: str, log: ToolLog) -> int:
    """Print why a command ends, without secrets, and return its exit code."""
    print(f"error: {log.masked(message)}", file=sys.stderr)
    return code


def _places(report: RunReport, store: Store) -> Iterator[str]:
    """Yield where the manifests and the dead letters are."""
    for url in report.manifests[:_MAX_URLS]:
        yield f"manifest {url}"
    if len(report.manifests) > _MAX_URLS:
        yield f"… and {len(report.manifests) - _MAX_URLS:,} more manifests"
    if report.dead_letters:
        yield f"dead letters {store.root}/dead-letters/{report.run_id}/"


def _write_report(report: RunReport, path: str | None) -> None:
    if path is not None:
        with open(path, "wb") as file:
            file.write(report.to_json())
