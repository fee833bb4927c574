"""The command line of `plan`, and what it describes."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.jobs import INPUT, INPUT_FORMAT, PACKING, WATERMARK_DELAY
from beam_s3box.cli.options.manifests import MANIFESTS, manifests_of
from beam_s3box.cli.options.naming import NAMING, naming_of
from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.s3 import S3_REACHING
from beam_s3box.cli.options.shards import SHARDS, format_of, limits_of
from beam_s3box.cli.options.values import seconds, whole_seconds
from beam_s3box.cli.options.write import add_rule_arguments, max_record_bytes_of
from beam_s3box.engine.plan import RunPlan, WriteSpec
from beam_s3box.runs.estimate.prices import PRICES_OF, Prices
from beam_s3box.stores import MemoryStore

_SAMPLE: Final = "64MiB"


def add_sample_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how much is read."""
    parser.add_argument(
        "--sample_bytes",
        metavar="SIZE",
        default=_SAMPLE,
        help="input of not more bytes is read whole, and nothing is extrapolated; of more, pieces from all over it "
        f"with so many bytes of records (default: {_SAMPLE})",
    )


def add_arrival_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how unbounded input arrives."""
    parser.add_argument(
        "--arrives_in",
        metavar="SECONDS",
        type=seconds(positive=True),
        help="the input is what arrives in that time, as 1d: estimate a stream job, in windows (default: a backfill)",
    )
    parser.add_argument(
        "--window",
        metavar="SPEC",
        default="fixed:60",
        help="fixed:SECONDS or sliding:SECONDS:PERIOD, with --arrives_in (default: fixed:60)",
    )
    parser.add_argument(
        "--watermark_delay",
        metavar="SECONDS",
        type=seconds(),
        default=0.0,
        help="a window ends so much later; stream's default with --timestamp_field is "
        f"{WATERMARK_DELAY:g} (default: 0)",
    )
    parser.add_argument(
        "--triggering_frequency",
        metavar="SECONDS",
        type=whole_seconds,
        help="also list what a window has so far that often (default: only at its end)",
    )


def add_price_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the prices."""
    prices = Prices()
    for name, what in (
        ("put", "1,000 requests that write"),
        ("get", "1,000 requests that read"),
        ("storage", "a GB for a month"),
    ):
        parser.add_argument(
            f"--{name}_price",
            metavar="DOLLARS",
            type=float,
            default=getattr(prices, name),
            help=f"of {what} (default: %(default)g)",
        )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is printed."""
    parser.add_argument("--json", action="store_true", default=False, help="print all of it as JSON")


PLAN_PARSER: Final = CommandParser(
    "s3box plan",
    "--input=GLOB [OPTIONS]",
    "Reads a sample of the input and estimates what a backfill or, with --arrives_in, a stream job will write: shards, "
    "manifests, requests and their price, by stream and with other limits. Writes nothing. Exit codes: 0 estimated; 1 "
    "the store failed; 2 an option or the input can't work.",
    (
        INPUT,
        INPUT_FORMAT,
        Section(INPUT.title, add_sample_arguments),
        NAMING,
        Section("Records", add_rule_arguments),
        SHARDS,
        MANIFESTS,
        Section("Unbounded input (SECONDS: 30, 30s, 5m, 1h, 1d)", add_arrival_arguments),
        PACKING,
        Section(f"Prices in US dollars (defaults: {PRICES_OF})", add_price_arguments),
        S3_REACHING,
        Section("Report", add_output_arguments),
    ),
)
"""The command line of `plan`."""


def plan_of(given: argparse.Namespace) -> RunPlan:
    """Return the plan of the run that is estimated; it writes nowhere.

    Raises:
      ConfigurationError: an option is missing or can't work.
    """
    format = format_of(given)
    spec = WriteSpec(
        selector=naming_of(given),
        format=format,
        manifests=manifests_of(given, format),
        limits=limits_of(given),
        max_record_bytes=max_record_bytes_of(given),
        long_values=given.long_values,
    )
    return spec.plan(MemoryStore("plan"))


def prices_of(given: argparse.Namespace) -> Prices:
    """Return the prices.

    Raises:
      ConfigurationError: one is below 0.
    """
    return Prices(given.put_price, given.get_price, given.storage_price)
