"""What a command says when it ends: the table, where things are, and whether every record arrived."""

from __future__ import annotations

from collections.abc import Iterator

from beam_s3box.cli.console.logging import ToolLog
from beam_s3box.cli.console.output import say, say_text
from beam_s3box.cli.console.report import RunReport
from beam_s3box.cli.console.table import balance_line, dead_letter_lines, render_table
from beam_s3box.stores import Store

_MAX_URLS = 5
"""Manifests that are named on the terminal; the report has all."""


def tell(what: str, report: RunReport, store: Store, path: str | None, log: ToolLog) -> int:
    """Write the report of a run, print what it did, and return the exit code: 0 only if every record arrived.

    Args:
      what: ran, for the sentence that names a report which can't be written.
      report: of the run.
      store: where it wrote.
      path: of the report, None for none.
      log: knows the secrets.
    """
    failure = _write_report(report, path)
    say(f"run {report.run_id} to {store.root}")
    say_text(render_table(report))
    say(balance_line(report), *dead_letter_lines(report), *_places(report, store))
    if failure is not None:
        return end(1, f"the {what} finished, but --report={path!r} can't be written: {failure.strerror}", log)
    if not report.balances:
        return end(1, f"records are missing or doubled: {balance_line(report)}", log)
    return 0


def end(code: int, message: str, log: ToolLog) -> int:
    """Print why a command ends, without secrets, and return its exit code."""
    say(f"error: {log.masked(message)}", error=True)
    return code


def _places(report: RunReport, store: Store) -> Iterator[str]:
    """Yield where the manifests and the dead letters are."""
    for url in report.manifests[:_MAX_URLS]:
        yield f"manifest {url}"
    if len(report.manifests) > _MAX_URLS:
        yield f"… and {len(report.manifests) - _MAX_URLS:,} more manifests"
    if report.dead_letters:
        yield f"dead letters {store.root}/dead-letters/{report.run_id}/"


def _write_report(report: RunReport, path: str | None) -> OSError | None:
    """Write the report, if one is asked for; return the error if it can't be written."""
    if path is None:
        return None
    try:
        with open(path, "wb") as file:
            file.write(report.to_json())
    except OSError as exc:
        return exc
    return None
