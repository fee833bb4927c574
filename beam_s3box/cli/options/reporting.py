"""Options that say what a command prints, and where its report goes."""

from __future__ import annotations

import argparse
import os
from typing import Final

from beam_s3box.checks import check_whole
from beam_s3box.cli.console.interrupts import DEFAULT_GRACE_SECONDS
from beam_s3box.cli.console.summary import STANDARD_OUTPUT, AlreadyFinished, Reporting, find_finished
from beam_s3box.cli.options.notify import notifier_of
from beam_s3box.cli.options.parser import Section
from beam_s3box.cli.options.s3 import credentials_of, settings_of
from beam_s3box.cli.options.values import seconds
from beam_s3box.engine.commit import announce, commit_of_record
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.stores import Store, open_store


def add_reporting_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--report",
        metavar="FILE.json",
        help="write the totals there too: a file, s3://bucket/key, or - for standard output",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=False,
        help="print the totals as JSON, and the table to standard error",
    )
    parser.add_argument(
        "--quiet", action="store_true", default=False, help="print neither the table nor the progress, only errors"
    )
    add_log_arguments(parser)
    parser.add_argument(
        "--metrics_port",
        metavar="PORT",
        type=int,
        help="serve the counts of the run to Prometheus at http://HOST:PORT/metrics, while it runs",
    )
    parser.add_argument(
        "--grace_seconds",
        metavar="SECONDS",
        type=seconds(positive=True),
        default=DEFAULT_GRACE_SECONDS,
        help="time to come to an end after SIGTERM, SIGHUP or the first ^C (default: %(default)g)",
    )


def add_log_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the messages on standard error."""
    parser.add_argument(
        "--log_level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="of messages, a runner's too; debug shows the traceback of a failure (default: warning)",
    )
    parser.add_argument(
        "--log_format",
        choices=("text", "json"),
        default="text",
        help="json writes each message as an object in a line, the error that ends the command too (default: text)",
    )


REPORTING: Final = Section("Report", add_reporting_arguments)


def reporting_of(given: argparse.Namespace) -> Reporting:
    """Return how the run is reported.

    Raises:
      ConfigurationError: the report can't be written there.
    """
    path: str | None = given.report
    store = None
    if path is not None and path.startswith("s3://"):
        folder, _, name = path.rpartition("/")
        if not name or folder.count("/") < 2:
            raise ConfigurationError(f"report={path!r} must be an object, as s3://bucket/key.json")
        try:
            store = open_store(folder, settings_of(given), credentials_of(given))
            store.check_writable()
        except S3BoxError as exc:
            raise ConfigurationError(f"report={path!r} can't be written: {exc}") from exc
    elif path is not None and path != STANDARD_OUTPUT:
        check_file(path, "report")
    return Reporting(path, store, given.json, given.quiet, check_port(given.metrics_port))


def check_port(port: int | None) -> int | None:
    """Return the port; raise ConfigurationError if it is none."""
    return None if port is None else check_whole("metrics_port", port, 1, 65_535)


def check_unfinished(given: argparse.Namespace, store: Store, reporting: Reporting) -> None:
    """Raise AlreadyFinished if the run had finished before and is to be skipped then, after it was announced again.

    Raises:
      AlreadyFinished: all its records are listed.
      ConfigurationError: it was interrupted, so that only a part of them is.
    """
    if given.if_finished == "skip" and given.run_id is not None:
        record = find_finished(store, given.run_id)
        if record is not None:
            if record.interrupted:
                raise ConfigurationError(
                    f"--if_finished=skip: run_id={given.run_id!r} below {store.root} is no finished work: "
                    f"{record.interrupted}; write that with another run_id"
                )
            # it may have been killed after the commit, before it said so
            announce(notifier_of(given), commit_of_record(store, record))
            raise AlreadyFinished(record, store, reporting)


def check_file(path: str, parameter: str) -> None:
    """Raise ConfigurationError if a file can't be written there."""
    folder = os.path.dirname(path) or "."
    target = path if os.path.exists(path) else folder
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(target, os.W_OK):
        raise ConfigurationError(f"{parameter}={path!r} can't be written: it must be a file in a folder that exists")
