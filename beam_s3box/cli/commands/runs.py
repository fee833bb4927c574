"""`runs`: the runs below a destination, newest first."""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson

from beam_s3box.checks import check_whole
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say, say_text, width_of_output
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.console.table import align
from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.runs import PLACE, PLACE_TITLE, place_of
from beam_s3box.cli.options.s3 import S3_READING
from beam_s3box.engine.run_reader import Run, UnreadRun, list_runs
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.sizes import format_seconds, format_size
from beam_s3box.system.printable import printable

_HEAD: Final = ("run", "state", "kind", "records", "shards", "on S3", "dead letters", "began", "took")
_UNKNOWN: Final = "-"


def add_runs_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which runs are shown, and how."""
    parser.add_argument(
        "--newest",
        metavar="N",
        type=int,
        help="only the runs that changed last: the records of others are not read (default: all)",
    )
    parser.add_argument("--json", action="store_true", default=False, help="print the runs as JSON")


RUNS_PARSER: Final = CommandParser(
    "s3box runs",
    "URL [OPTIONS]",
    "Lists the runs that have written below a destination, the one that began last first: finished, failed, or "
    "unfinished, which is running or ended without a word. Of a stream without an end the manifests count as they are "
    "written, and `s3box report` adds them up. Other objects among the records are named on standard error. Exit "
    "codes: 0 listed; 1 the destination or the record of a run can't be read; 2 an option can't work.",
    (PLACE, Section(PLACE_TITLE, add_runs_arguments), S3_READING),
)
"""The command line."""


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    try:
        given = RUNS_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        if given.newest is not None:
            check_whole("newest", given.newest, 1)
        store, run_id = place_of(given)
        unread: list[UnreadRun] = []
        runs = [run for run in list_runs(store, given.newest, unread) if run_id in (None, run.run_id)]
    except S3BoxError as exc:
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, str(exc), log)
    now = time.time()
    if given.json:
        say_text(orjson.dumps([_values(run, now) for run in runs], option=orjson.OPT_INDENT_2).decode())
    elif runs:
        say_text(align([_HEAD, *(_row(run, now) for run in runs)], width_of_output(), has_total=False))
    else:
        say_text(f"no runs below {store.root}")
    others = [one for one in unread if run_id in (None, one.run_id)]
    for one in others:
        say(f"not listed: {one.reason}", error=True)
    return int(any(one.is_record for one in others))


def _values(run: Run, now: float) -> dict[str, Any]:
    """Return a run as `--json` has it; what is not known of it is null."""
    record = run.record
    known = record.state == "finished"
    return {
        "run_id": record.run_id,
        "url": run.store.url(run.info.key),
        "state": _state(run),
        "kind": record.kind or None,
        "bounded": record.bounded,
        "records": record.size.records if known else None,
        "shards": record.shards if known else None,
        "raw_bytes": record.size.raw_bytes if known else None,
        "object_bytes": record.size.object_bytes if known else None,
        "manifests": len(record.manifests) if known and record.bounded else None,
        "dead_letters": record.input.rejected if known and record.input is not None else None,
        "began": record.began,
        "ended": record.ended,
        "age_seconds": _since(record.began, now),
        "seconds": _seconds(run),
        "error": record.error,
        "parent": record.parent,
        "version": record.version or None,
        "runner": record.runner or None,
        "job_name": record.job_name or None,
    }


def _row(run: Run, now: float) -> tuple[str, ...]:
    values = _values(run, now)
    age, took = values["age_seconds"], values["seconds"]
    return (
        printable(run.run_id),
        values["state"],
        values["kind"] or _UNKNOWN,
        _number(values["records"]),
        _number(values["shards"]),
        _UNKNOWN if values["object_bytes"] is None else format_size(values["object_bytes"]),
        _number(values["dead_letters"]),
        _UNKNOWN if age is None else f"{_age(age)} ago",
        _UNKNOWN if took is None else format_seconds(took),
    )


def _state(run: Run) -> str:
    if run.record.interrupted:
        return "interrupted"
    return "unfinished" if run.record.state == "running" else run.record.state


def _seconds(run: Run) -> int | None:
    """Return how long a run took, None while it has not ended."""
    ended = run.record.ended
    return None if ended is None else _since(run.record.began, _moment(ended))


def _since(began: str, now: float | None) -> int | None:
    moment = _moment(began)
    return None if moment is None or now is None else max(0, round(now - moment))


def _moment(text: str) -> float | None:
    """Return a time of a record in seconds since the epoch, None for one that nobody can read."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _age(seconds: int) -> str:
    return f"{seconds // 86_400} d" if seconds >= 2 * 86_400 else format_seconds(seconds)


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"
