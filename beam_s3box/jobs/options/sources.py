"""Which source a streaming job reads: exactly one, and only its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.cli.options.input import add_path_columns_argument
from beam_s3box.cli.options.jobs import add_format_arguments, add_input_argument, add_poll_argument, add_watch_arguments
from beam_s3box.cli.options.parser import actions_of
from beam_s3box.cli.options.queue import add_queue_arguments
from beam_s3box.cli.options.sources import (
    SOURCE_DELAY,
    add_kafka_arguments,
    add_kinesis_arguments,
    add_source_arguments,
)
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.windows import Timing, timing_of
from beam_s3box.sources.watermark import Pacing

_Add = Callable[[argparse.ArgumentParser], None]


class Kind(NamedTuple):
    """A kind of source.

    Attributes:
      chosen_by: the option that chooses it.
      adds: what adds its options.
    """

    chosen_by: str
    adds: tuple[_Add, ...]


FILES: Final = Kind("input", (add_input_argument, add_watch_arguments, add_format_arguments))
QUEUE: Final = Kind(
    "sqs_queue", (add_queue_arguments, add_poll_argument, add_format_arguments, add_path_columns_argument)
)
KAFKA: Final = Kind("kafka_topic", (add_kafka_arguments, add_source_arguments))
KINESIS: Final = Kind("kinesis_stream", (add_kinesis_arguments, add_source_arguments))
_KINDS: Final = (FILES, QUEUE, KAFKA, KINESIS)
_ALWAYS: Final = frozenset({"stop_after"})
"""Options of files that all sources have."""


def kind_of(given: argparse.Namespace) -> Kind:
    """Return the source that the options choose.

    Raises:
      ConfigurationError: they choose none, several, or have options of another one.
    """
    chosen = [kind for kind in _KINDS if getattr(given, kind.chosen_by)]
    if len(chosen) > 1:
        names = " and ".join(f"--{kind.chosen_by}" for kind in chosen)
        raise ConfigurationError(f"{names} are mutually exclusive: a job reads one source; start a job for each")
    kind = chosen[0] if chosen else None
    meant = {action.dest for action in _options_of(kind)} if kind else set()
    for other in _KINDS:
        for action in _options_of(other):
            if other == kind or action.dest in meant or getattr(given, action.dest) == action.default:
                continue
            if kind is None:
                raise ConfigurationError(f"--{other.chosen_by} is missing: --{action.dest} says how to read it")
            raise ConfigurationError(f"--{action.dest} has no effect with --{kind.chosen_by}: leave it out")
    if kind is None:
        ways = ", or ".join(f"--{other.chosen_by}" for other in _KINDS[1:])
        raise ConfigurationError(f"--input is missing: say what to read, as --input='data/*.jsonl', or {ways}")
    return kind


def domain_of(given: argparse.Namespace) -> str | None:
    """Return a domain for all records that their source does not name one for; None for what the options say.

    Raises:
      ConfigurationError: the options say it too.
    """
    if given.domain_from is None:
        return None
    for name in ("domain", "domain_field"):
        if getattr(given, name) is not None:
            raise ConfigurationError(f"--domain_from and --{name} are mutually exclusive: give one")
    return str((given.kafka_topic or ["topic"])[0])


def source_timing_of(options: PipelineOptions) -> Timing:
    """Return when records of a source happened and which go together.

    Raises:
      ConfigurationError: windows that are none, or a field without a name.
    """
    timing = timing_of(options)
    if given_of(options).watermark_delay is None and timing.field is None:
        return timing._replace(delay=SOURCE_DELAY)
    return timing


def pacing_of(options: PipelineOptions, timing: Timing) -> Pacing:
    """Return how readers keep time."""
    given = given_of(options)
    return Pacing(delay=timing.delay, idle=given.idle_timeout, stop_after=given.stop_after)


def _options_of(kind: Kind | None) -> Iterator[argparse.Action]:
    for add in kind.adds if kind is not None else ():
        yield from (action for action in actions_of(add) if action.dest not in _ALWAYS)
