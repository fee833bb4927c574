"""`stop`: asks an unbounded run to end in order, wherever it runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say, write_sql
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.s3 import S3_READING, credentials_of, reading_settings_of
from beam_s3box.cli.options.values import seconds
from beam_s3box.engine.run_notices import ask_to_stop
from beam_s3box.engine.run_reader import Run, find_run, run_of_url
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.stores import Store, open_written

_POLL_SECONDS: Final = 2.0


def add_stop_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `stop`."""
    parser.add_argument(
        "run_url", metavar="RUN_URL", nargs="?", help="URL of the run's record, as s3://bucket/prefix/runs/ID.json"
    )
    parser.add_argument("--run_id", metavar="ID", help="of the run, where RUN_URL is only the destination")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=seconds(positive=True),
        help="until the run has ended; exit code 1 if it has not by then (default: leave the mark, and don't wait)",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


STOP_PARSER: Final = CommandParser(
    "s3box stop",
    "RUN_URL [OPTIONS]",
    "Asks a streaming run to end in order, on every runner: its sources stop where they are, what is buffered is "
    "sealed and listed, and the record says `finished` and how far each partition was read. Exit codes: 0 the run was "
    "asked, or has ended; 1 it has not within --wait, or it failed; 2 an option can't work.",
    (
        Section("Run", add_stop_arguments),
        S3_READING,
    ),
)
"""The command line of `stop`."""


def run_stop(arguments: Sequence[str], log: CommandLog) -> int:
    """Ask a run to end, and return the exit code."""
    try:
        given = STOP_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        run = _run_of(given)
        if run.record.state == "running":
            ask_to_stop(run.store, run.layout)
            if given.wait is not None:
                run = wait_for_end(run.store, run.run_id, given.wait)
        return _tell(run, given)
    except S3BoxError as exc:
        code = 2 if isinstance(exc, ConfigurationError) else 1
        return fail_with(code, str(exc), log)


def wait_for_end(
    store: Store,
    run_id: str,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """Return a run when it has ended, or as it is after so many seconds."""
    until = clock() + seconds
    while True:
        run = find_run(store, run_id)
        if run.record.state != "running" or clock() >= until:
            return run
        sleep(_POLL_SECONDS)


def _run_of(given: argparse.Namespace) -> Run:
    """Return the run.

    Raises:
      ConfigurationError: there is no such run, or it has an end of its own.
    """
    if not given.run_url:
        raise ConfigurationError("the run is missing: give the URL of its record, as s3://bucket/prefix/runs/ID.json")
    destination, run_id = run_of_url(given.run_url)
    run_id = run_id or given.run_id
    if run_id is None:
        raise ConfigurationError(
            f"{given.run_url!r} is not the URL of a run's record: add /runs/ID.json, or give --run_id"
        )
    run = find_run(open_written(destination, reading_settings_of(given), credentials_of(given)), run_id)
    if run.record.bounded:
        raise ConfigurationError(
            f"run {run_id} is bounded, and ends when its input does: end its process instead; what it has not listed "
            "by then does not count, and it may be begun again under its id"
        )
    return run


def _tell(run: Run, given: argparse.Namespace) -> int:
    state, url = run.record.state, run.store.url(run.layout.run)
    if given.json:
        write_sql(orjson.dumps({"run_id": run.run_id, "url": url, "state": state}).decode())
    elif state == "running":
        say(f"run {run.run_id} is asked to stop; {url} says `finished` when all that it read is listed")
    else:
        say(f"run {run.run_id} {_ENDED[state]}")
    return int(state == "failed" or (state == "running" and given.wait is not None))


_ENDED = {"finished": "has ended", "failed": "has failed"}
