"""Options that say what a command prints, and where its report goes."""

from __future__ import annotations

import argparse
import os
from typing import Final

from beam_s3box.cli.console.interrupts import DEFAULT_GRACE_SECONDS
from beam_s3box.cli.options.parser import Section
from beam_s3box.cli.options.values import seconds
from beam_s3box.errors import ConfigurationError


def add_reporting_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--report", metavar="FILE.json", help="write the totals there too")
    parser.add_argument(
        "--log_level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="of messages, a runner's too; debug shows the traceback of a failure (default: warning)",
    )
    parser.add_argument(
        "--grace_seconds",
        metavar="SECONDS",
        type=seconds(positive=True),
        default=DEFAULT_GRACE_SECONDS,
        help="time to come to an end after SIGTERM, SIGHUP or the first ^C (default: %(default)g)",
    )


REPORTING: Final = Section("Report", add_reporting_arguments)


def check_report(path: str | None) -> None:
    """Raise ConfigurationError if the report can't be written there."""
    if path is None:
        return
    folder = os.path.dirname(path) or "."
    target = path if os.path.exists(path) else folder
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(target, os.W_OK):
        raise ConfigurationError(f"--report={path!r} can't be written: it must be a file in a folder that is there")
