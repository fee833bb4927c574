"""Reads a command line strictly: Beam itself ignores options that it doesn't know, and so every typo."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
from collections.abc import Iterable, Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import (
    PipelineOptions,
    S3Options,
    StandardOptions,
    _BeamArgumentParser,
)

from beam_s3box.errors import ConfigurationError

DEFAULT_RUNNER = "FnApiRunner"
"""The fast local runner; Beam's own default first looks for one that it would download."""

_PARAMETERS = {
    "destination": "output",
    "object_bytes": "object_size_limit",
    "raw_bytes": "size_limit",
    "records": "record_limit",
    "region": "s3_region_name",
    "endpoint_url": "s3_endpoint_url",
    "verify": "s3_verify",
    "sse": "s3_sse",
    "sse_kms_key_id": "s3_sse_kms_key_id",
    "storage_class": "s3_storage_class",
    "tags": "s3_tags",
    "acl": "s3_acl",
    "role_arn": "s3_role_arn",
    "max_attempts": "s3_max_attempts",
    "concurrency": "s3_concurrency",
    "upload_concurrency": "s3_concurrency",
}
"""Options that are not named as the parameters they set."""

_NAMED = re.compile(r"(?<![\w'\"{-])([a-z][a-z0-9_]*)=")
_MAX_WIDTH = 110
_BEAM_LIKENESS = 0.8
"""How like an option of Beam a typo must be to be taken for it: of so many, one is always a little like it."""


class OptionParser:
    """The command line of one job: its own options and all of Beam's.

    Args:
      program: how the job is started.
      description: what it does.
      classes: of its own options, in the order of the help; each has a `title`.
    """

    def __init__(self, program: str, description: str, classes: Sequence[type[PipelineOptions]]) -> None:
        self._program = program
        self._description = description
        self._classes = tuple(classes)

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
            raise ConfigurationError(_explain(unknown[0], _names(self._classes), _names(_beam_classes())))
        options = PipelineOptions([*checked, *unchecked])
        standard = options.view_as(StandardOptions)
        standard.runner = standard.runner or DEFAULT_RUNNER
        return options

    def as_flags(self, message: str) -> str:
        """Return a message about parameters as one about options: `--output=` for `destination=`."""
        known = set(_names(self._classes))

        def flag(match: re.Match[str]) -> str:
            name = f"--{_PARAMETERS.get(match[1], match[1])}"
            return f"{name}=" if name in known or match[1] in _PARAMETERS else match[0]

        return _NAMED.sub(flag, message)

    def _help(self) -> str:
        formatter = self._formatter("[OPTIONS] [-- OPTIONS OF A JOB SERVER]")
        formatter.add_text(self._description)
        for cls in self._classes:
            _add_section(formatter, getattr(cls, "title", cls.__name__), _actions((cls,)))
        _add_section(
            formatter,
            "S3: Beam's options, for reading and writing (else AWS_* and boto3's chain)",
            _actions((S3Options,)),
        )
        formatter.start_section("Beam")
        formatter.add_text(
            f"--runner NAME picks the runner (default: {DEFAULT_RUNNER}); --direct_running_mode=multi_processing "
            "--direct_num_workers=N uses N local processes. --help_beam lists all of Beam's options, --help these. "
            "Options that only a job server knows, such as some of Flink's, go behind --."
        )
        formatter.end_section()
        return formatter.format_help()

    def _help_of_beam(self) -> str:
        formatter = self._formatter("[OPTIONS]")
        formatter.add_text("Options of Apache Beam; --help lists the job's own.")
        for cls in _beam_classes():
            _add_section(formatter, cls.__name__, _actions((cls,)))
        return formatter.format_help()

    def _formatter(self, usage: str) -> argparse.HelpFormatter:
        width = min(shutil.get_terminal_size((100, 24)).columns, _MAX_WIDTH)
        formatter = argparse.HelpFormatter(self._program, max_help_position=30, width=width)
        formatter.add_usage(f"{self._program} {usage}", (), ())
        return formatter


class _Parser(_BeamArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(_SHORT.sub(r"\1: ", message, count=1))


_SHORT = re.compile(r"^argument (?:[^:\s]*/)?(--\w+): ")


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


def _actions(classes: Iterable[type[PipelineOptions]]) -> list[argparse.Action]:
    actions: list[argparse.Action] = _parser(classes)._actions
    return actions


def _add_section(formatter: argparse.HelpFormatter, title: str, actions: Iterable[argparse.Action]) -> None:
    formatter.start_section(title)
    formatter.add_arguments(actions)
    formatter.end_section()


def _names(classes: Iterable[type[PipelineOptions]]) -> list[str]:
    return [name for action in _actions(classes) for name in action.option_strings]


def _explain(argument: str, own: Sequence[str], beams: Sequence[str]) -> str:
    """Return what is wrong with an argument that no option takes; a value that it carries is not shown."""
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        return f"{argument!r} belongs to no option: write --name=value, and quote patterns of files in the shell"
    wanted = f"--{name.lstrip('-')}"
    close = difflib.get_close_matches(wanted, own, 1) or difflib.get_close_matches(wanted, beams, 1, _BEAM_LIKENESS)
    if close:
        return f"{name} is not an option: did you mean {close[0]}?"
    return f"{name} is not an option: see --help and --help_beam; an option that only a job server knows goes behind --"
