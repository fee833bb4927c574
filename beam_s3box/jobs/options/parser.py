"""Reads a command line strictly: Beam itself ignores options that it doesn't know, and so every typo."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Sequence

from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
    _BeamArgumentParser,
)

from beam_s3box.cli.options.parser import (
    PARAMETERS,
    StrictParser,
    actions_of,
    add_section,
    as_flags,
    explain_unknown,
    help_formatter,
    option_names,
)
from beam_s3box.cli.options.s3 import REACHING_TITLE, add_s3_reaching_arguments
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.runners import STREAM_RUNNERS

_PARAMETERS = {**PARAMETERS, "destination": "output"}
_HINT = "see --help and --help_beam; an option that only a job server knows goes behind --"


class OptionParser:
    """The command line of one job: its own options and all of Beam's.

    Args:
      program: how the job is started.
      description: what it does.
      classes: of its own options, in the order of the help; each has a `title`, and neighbours may share one.
      runner: the one that is taken if none is given; None if one must be.
    """

    def __init__(
        self, program: str, description: str, classes: Sequence[type[PipelineOptions]], runner: str | None
    ) -> None:
        self._program = program
        self._description = description
        self._classes = tuple(classes)
        self._runner = runner

    def help_asked(self, arguments: Sequence[str]) -> str | None:
        """Return the help that the arguments ask for, None if they don't."""
        asked = set(_split(arguments)[0])
        if asked & {"-h", "--help"}:
            return self._help()
        return self._help_of_beam() if "--help_beam" in asked else None

    def parse(self, arguments: Sequence[str]) -> PipelineOptions:
        """Return the options; what stands behind `--` goes to the runner's job server unchecked.

        Raises:
          ConfigurationError: an option that is unknown or has a bad value.
        """
        checked, unchecked = _split(arguments)
        parser = _parser((*_beam_classes(), *self._classes))
        _, unknown = parser.parse_known_args(checked)
        if unknown:
            raise ConfigurationError(explain_unknown(unknown[0], _names(self._classes), _names(_beam_classes()), _HINT))
        options = PipelineOptions([*checked, *unchecked])
        standard = options.view_as(StandardOptions)
        standard.runner = standard.runner or self._runner
        return options

    def as_flags(self, message: str) -> str:
        """Return a message about parameters as one about options: `--output=` for `destination=`."""
        return as_flags(message, _names(self._classes), _PARAMETERS)

    def _help(self) -> str:
        formatter = help_formatter(self._program, "[OPTIONS] [-- OPTIONS OF A JOB SERVER]")
        formatter.add_text(self._description)
        for title, classes in itertools.groupby(self._classes, _title):
            add_section(formatter, title, _actions(classes))
        # these are Beam's, of the same names; it says less about them
        add_section(formatter, REACHING_TITLE, actions_of(add_s3_reaching_arguments))
        formatter.start_section("Beam")
        formatter.add_text(
            f"{self._help_of_runner()} --help_beam lists all of Beam's options, --help these. "
            "Options that only a job server knows, such as some of Flink's, go behind --. "
            "--version prints the version of beam_s3box."
        )
        formatter.end_section()
        return formatter.format_help()

    def _help_of_runner(self) -> str:
        if self._runner is None:
            return f"--runner NAME picks the runner: {STREAM_RUNNERS}; required."
        return (
            f"--runner NAME picks the runner (default: {self._runner}); --direct_running_mode=multi_processing "
            "--direct_num_workers=N uses N local processes."
        )

    def _help_of_beam(self) -> str:
        formatter = help_formatter(self._program, "[OPTIONS]")
        formatter.add_text("Options of Apache Beam; --help lists the job's own.")
        for cls in _beam_classes():
            add_section(formatter, cls.__name__, _actions((cls,)))
        return formatter.format_help()


class _Parser(StrictParser, _BeamArgumentParser):
    """Beam's own parser, but strict."""


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before and behind `--`."""
    arguments = list(arguments)
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _beam_classes() -> list[type[PipelineOptions]]:
    classes: list[type[PipelineOptions]] = PipelineOptions.__subclasses__()
    return [cls for cls in classes if cls.__module__.startswith("apache_beam.")]


def _parser(classes: Iterable[type[PipelineOptions]]) -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for cls in classes:
        cls._add_argparse_args(parser)
    return parser


def _title(cls: type[PipelineOptions]) -> str:
    return str(getattr(cls, "title", cls.__name__))


def _actions(classes: Iterable[type[PipelineOptions]]) -> list[argparse.Action]:
    actions: list[argparse.Action] = _parser(classes)._actions
    return actions


def _names(classes: Iterable[type[PipelineOptions]]) -> list[str]:
    return option_names(_actions(classes))
