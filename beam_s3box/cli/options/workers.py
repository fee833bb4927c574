"""The option that says how many processes of this machine do the work."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import Section

AUTO: Final = "auto"


def workers(text: str) -> int | str:
    """Return a number of at least 1, or `auto`."""
    if text == AUTO:
        return AUTO
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be auto, or a whole number of at least 1")
    return int(text)


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--workers",
        metavar="N",
        type=workers,
        default=AUTO,
        help="processes of this machine that read and pack the files, each on a core; not with a --runner of a cluster "
        "(default: auto, one for each core, from 4 cores and 1 GB of JSON on, as memory allows, else 1)",
    )


WORKERS: Final = Section("Processes", add_workers_argument)
