"""What a command prints when it ends: the table, where things are, and whether every record arrived."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say, say_text, width_of_output
from beam_s3box.cli.console.report import RunReport
from beam_s3box.cli.console.table import balance_line, dead_letter_lines, rate_line, render_table
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import AccessError, ObjectNotFoundError, S3BoxError
from beam_s3box.shards.keys import Layout
from beam_s3box.sizes import counted_text
from beam_s3box.stores import Store

_MAX_URLS = 5
"""Manifests that are named on the terminal; the report has all."""

STANDARD_OUTPUT = "-"
"""Where a report goes that is printed."""


@dataclasses.dataclass(frozen=True)
class Reporting:
    """How a run is reported.

    Attributes:
      report: where its totals go as JSON: a file, an `s3://` URL or "-" for standard output; None for nowhere.
      store: where a report on S3 goes.
      is_json: whether the totals are printed as JSON, too.
      is_quiet: whether there is no table.
      metrics_port: where Prometheus gets the counts of the run; None for nowhere.
      began: when the run began, by `clock`.
      clock: seconds.
    """

    report: str | None = None
    store: Store | None = None
    is_json: bool = False
    is_quiet: bool = False
    metrics_port: int | None = None
    clock: Callable[[], float] = time.monotonic
    began: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def prints_json(self) -> bool:
        """Whether standard output is JSON; the table goes to standard error then."""
        return self.is_json or self.report == STANDARD_OUTPUT


class AlreadyFinished(Exception):
    """The run had finished before, and is not to be done again.

    Attributes:
      record: of the run.
      store: where it wrote.
      reporting: how that is reported.
      done: lines that say what was done after all.
      failed: lines that say what failed of that.
    """

    def __init__(self, record: RunRecord, store: Store, reporting: Reporting) -> None:
        super().__init__(record, store, reporting)
        self.record = record
        self.store = store
        self.reporting = reporting
        self.done: list[str] = []
        self.failed: list[str] = []


def print_summary(what: str, report: RunReport, store: Store, reporting: Reporting, log: CommandLog) -> int:
    """Write the report of a run, print what it did, and return the exit code: 0 only if every record arrived.

    Args:
      what: ran, for the sentence that names a report which can't be written.
      report: of the run.
      store: where it wrote.
      reporting: how that is reported.
      log: knows the secrets.
    """
    report = dataclasses.replace(report, seconds=round(reporting.clock() - reporting.began, 3))
    failure = _write(reporting, report.to_json())
    if not reporting.is_quiet:
        to_error = reporting.prints_json
        say(f"run {report.run_id} to {store.root}", error=to_error)
        say_text(render_table(report, width_of_output(error=to_error)), error=to_error)
        say(balance_line(report), *dead_letter_lines(report), error=to_error)
        say(rate_line(report), *_places(report, store), error=to_error)
    if failure:
        return fail_with(1, f"the {what} finished and its manifests count, but its {failure}", log)
    if not report.balances:
        return fail_with(1, f"records are missing or duplicated: {balance_line(report)}", log)
    return 0


def print_finished(finished: AlreadyFinished, log: CommandLog) -> int:
    """Report a run that had finished before, and return the exit code."""
    record, store, reporting = finished.record, finished.store, finished.reporting
    values: dict[str, Any] = {
        "run_id": record.run_id,
        "finished": record.ended,
        "records_listed": record.size.records,
        "shards": record.shards,
        "raw_bytes": record.size.raw_bytes,
        "object_bytes": record.size.object_bytes,
        "manifests": [manifest.url for manifest in record.manifests],
    }
    failure = _write(reporting, orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if not reporting.is_quiet:
        say(
            f"run {record.run_id} to {store.root} had finished before, at {record.ended}: nothing was written",
            f"{counted_text(record.size.records, 'record')} in {counted_text(record.shards, 'shard')}, "
            f"{counted_text(len(record.manifests), 'manifest')}",
            *_manifest_lines(values["manifests"]),
            *finished.done,
            error=reporting.prints_json,
        )
    wrong = [*finished.failed, *([f"the run had finished before, but its {failure}"] if failure else ())]
    return max((fail_with(1, message, log) for message in wrong), default=0)


def find_finished(store: Store, run_id: str) -> RunRecord | None:
    """Return the record of a run that has finished, None if there is none.

    Raises:
      S3BoxError: the store failed, or another program wrote the record.
    """
    key = Layout.below(store.root, run_id).run
    try:
        body = store.get(key)
    except (AccessError, ObjectNotFoundError):
        # without the right to list, S3 answers 403 for a key that does not exist; the claim of the run id is certain
        return None
    record = RunRecord.parse(store.url(key), body)
    return record if record.state == "finished" else None


def fail_with(code: int, message: str, log: CommandLog) -> int:
    """Print why a command ends, without secrets, and return its exit code."""
    if log.is_json:
        logging.getLogger(log.own).error("%s", message)
    else:
        say(f"error: {log.masked(message)}", error=True)
    return code


def _places(report: RunReport, store: Store) -> Iterator[str]:
    """Yield where the manifests and the dead letters are."""
    yield from _manifest_lines(report.manifests)
    if report.dead_letters:
        yield f"dead letters {store.root}/dead-letters/{report.run_id}/"


def _manifest_lines(manifests: list[str]) -> Iterator[str]:
    for url in manifests[:_MAX_URLS]:
        yield f"manifest {url}"
    if len(manifests) > _MAX_URLS:
        yield f"… and {len(manifests) - _MAX_URLS:,} more manifests"


def _write(reporting: Reporting, body: bytes) -> str:
    """Write the report wherever it is asked for; return why it can't be written, empty if it was."""
    if reporting.prints_json:
        # only ASCII, which every output takes
        say_text(json.dumps(json.loads(body), indent=2))
    path = reporting.report
    if path is None or path == STANDARD_OUTPUT:
        return ""
    try:
        if reporting.store is not None:
            key = path.removeprefix(f"{reporting.store.root}/")
            digest = hashlib.sha256(body).hexdigest()
            reporting.store.put(key, body, sha256=digest, content_type="application/json", replace=True)
        else:
            with open(path, "wb") as file:
                file.write(body)
    except OSError as exc:
        return f"report={path!r} can't be written: {exc.strerror}"
    except S3BoxError as exc:
        return f"report={path!r} can't be written: {exc}"
    return ""
