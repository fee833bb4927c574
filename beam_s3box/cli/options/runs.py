"""Options that name a run that has written, for the commands that look at runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from beam_s3box.cli.options.parser import Section
from beam_s3box.cli.options.s3 import credentials_of, reading_settings_of
from beam_s3box.engine.run_reader import run_of_url
from beam_s3box.errors import ConfigurationError
from beam_s3box.stores import S3Settings, Store, open_written

PLACE_TITLE: Final = "Run"


def add_place_argument(parser: argparse.ArgumentParser) -> None:
    """Add the destination that runs have written to."""
    parser.add_argument(
        "place",
        metavar="URL",
        nargs="?",
        help="destination of the run, s3://bucket/prefix or a folder; or of its record",
    )


def add_run_id_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the run."""
    parser.add_argument("--run_id", metavar="ID", help="of the run (default: the newest that finished)")


PLACE: Final = Section(PLACE_TITLE, add_place_argument)
RUN_ID: Final = Section(PLACE_TITLE, add_run_id_argument)


def place_of(
    given: argparse.Namespace, settings: Callable[[argparse.Namespace], S3Settings] = reading_settings_of
) -> tuple[Store, str | None]:
    """Return the store of the destination, and the id of the run if the options name one.

    Args:
      given: the options.
      settings: returns the settings of S3, those of a command that only reads unless another function is given.

    Raises:
      ConfigurationError: the URL is missing, names another run than `--run_id`, or is a folder that does not exist.
    """
    if not given.place:
        raise ConfigurationError("the URL is missing: say where the run has written, as s3://bucket/prefix or a folder")
    destination, run_id = run_of_url(given.place)
    asked: str | None = getattr(given, "run_id", None)
    if run_id is not None and asked not in (None, run_id):
        raise ConfigurationError(
            f"{given.place!r} is the record of the run {run_id!r}, and --run_id={asked!r} is another: give one"
        )
    return open_written(destination, settings(given), credentials_of(given)), asked or run_id
