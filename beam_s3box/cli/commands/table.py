"""All commands, each loaded when it is asked for: the jobs bring Beam with them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.options.parser import CommandParser

Run: TypeAlias = Callable[[Sequence[str], CommandLog], int]


class Command(NamedTuple):
    """A command.

    Attributes:
      summary: what it does, in words.
      runs: the function that runs it, as `module:name` below `beam_s3box`.
      options: its command line, likewise.
      parses: what parses its command line, where that is not the same; likewise.
    """

    summary: str
    runs: str
    options: str
    parses: str = ""

    @property
    def is_job(self) -> bool:
        """Whether it runs on Beam."""
        return self.runs.startswith("jobs.")

    @property
    def run(self) -> Run:
        """The function that runs it."""
        function: Run = _load(self.runs)
        return function

    @property
    def parser(self) -> CommandParser:
        """Its command line, which imports no Beam."""
        parser: CommandParser = _load(self.options)
        return parser

    def effective(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Return all its options by name.

        Raises:
          ConfigurationError: an option that is unknown or has a bad value.
        """
        values: dict[str, Any] = _load(self.parses or self.options).effective(arguments)
        return values


COMMANDS: Final[Mapping[str, Command]] = {
    "backfill": Command(
        "write files of records to S3 as a Beam pipeline, on this machine or a cluster",
        "jobs.backfill:run",
        "cli.options.jobs:BACKFILL",
        "jobs.backfill:PARSER",
    ),
    "stream": Command(
        "the same for what keeps arriving: files, Kafka, Kinesis, a queue of S3's events; as a streaming pipeline",
        "jobs.stream:run",
        "cli.options.jobs:STREAM",
        "jobs.stream:PARSER",
    ),
    "stop": Command(
        "ask a streaming run to end in order, wherever it runs",
        "cli.commands.stop:run_stop",
        "cli.commands.stop:STOP_PARSER",
    ),
    "pack": Command(
        "pack JSON lines into gzip shards on S3, with the manifests that Redshift's COPY loads",
        "cli.commands.pack:run",
        "cli.options.pack:PACK_PARSER",
    ),
    "plan": Command(
        "estimate from a sample of the input what a run will write: shards, manifests, requests and their price",
        "cli.commands.plan:run",
        "cli.options.plan:PLAN_PARSER",
    ),
    "load": Command(
        "load manifests into a Redshift table, each exactly once",
        "cli.commands.load:run_load",
        "cli.commands.load:LOAD_PARSER",
    ),
    "runs": Command(
        "list the runs below a destination, newest first: state, records, shards, age",
        "cli.commands.runs:run",
        "cli.commands.runs:RUNS_PARSER",
    ),
    "report": Command(
        "say what a run has written, as a table, as JSON or as a page to look at",
        "cli.commands.report:run",
        "cli.options.report:REPORT_PARSER",
    ),
    "verify": Command(
        "check everything that a run has written, byte by byte",
        "cli.commands.verify:run",
        "cli.options.verify:VERIFY_PARSER",
    ),
    "doctor": Command(
        "try out what a store really guarantees, and which options it needs",
        "cli.commands.doctor:run",
        "cli.options.doctor:DOCTOR_PARSER",
    ),
    "compact": Command(
        "join the small shards of a run to few large ones, without decompressing them",
        "cli.commands.compact:run",
        "cli.options.compact:COMPACT_PARSER",
    ),
    "gc": Command(
        "remove objects that no run needs any more: unlisted and replaced shards, unfinished uploads, old marks",
        "cli.commands.gc:run",
        "cli.options.gc:GC_PARSER",
    ),
    "redrive": Command(
        "try the dead letters of a run again after a fix, each once, as a new run",
        "cli.commands.redrive:run",
        "cli.options.redrive:REDRIVE_PARSER",
    ),
    "copy-sql": Command(
        "print the COPY that loads a manifest into a Redshift table",
        "cli.commands.sql:run_copy_sql",
        "cli.commands.sql:COPY_PARSER",
    ),
    "create-table": Command(
        "print the CREATE TABLE for the records of a manifest",
        "cli.commands.sql:run_create_table",
        "cli.commands.sql:CREATE_PARSER",
    ),
}
"""By name, in the order of the help."""


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(f"beam_s3box.{module}"), name)
