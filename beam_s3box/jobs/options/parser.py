"""Reads a job's command line strictly: Beam itself ignores options that it doesn't know, and so every typo."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterable, Sequence
from typing import Any, Final

from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
    _BeamArgumentParser,
)

from beam_s3box.cli.options.parser import (
    CommandParser,
    Section,
    StrictParser,
    actions_of,
    add_section,
    before_dashes,
    expand,
    explain_unknown,
    help_formatter,
    option_names,
)
from beam_s3box.errors import ConfigurationError

_HINT: Final = "see --help and --help_beam; an option that only a job server knows goes behind --"


class OptionParser:
    """The command line of one job: its own options and all of Beam's.

    Args:
      command: its own options.
      runner: the one that is taken if none is given; None if one must be.
    """

    def __init__(self, command: CommandParser, runner: str | None = None) -> None:
        self._command = command
        self._runner = runner
        self._classes = [options_class(section) for section in command.sections]

    def help_asked(self, arguments: Sequence[str]) -> str | None:
        """Return the help that the arguments ask for, None if they don't."""
        return _help_of_beam() if "--help_beam" in before_dashes(arguments) else self._command.help_asked(arguments)

    def parse(self, arguments: Sequence[str]) -> PipelineOptions:
        """Return the options; what follows `--` goes to the runner's job server unchecked.

        Raises:
          ConfigurationError: an option that is unknown or has a bad value.
        """
        checked = before_dashes(arguments)
        unchecked = arguments[len(checked) + 1 :]
        parser = _parser((*_beam_classes(), *self._classes))
        checked = expand(checked, parser._actions)
        _, unknown = parser.parse_known_args(checked)
        if unknown:
            beams = option_names(_parser(_beam_classes())._actions)
            raise ConfigurationError(explain_unknown(unknown[0], self._command.names, beams, _HINT, "--destination"))
        options = PipelineOptions([*checked, *unchecked])
        standard = options.view_as(StandardOptions)
        standard.runner = standard.runner or self._runner
        return options

    def effective(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Return all options of the job by name, and those of Beam's that are not as Beam has them.

        Raises:
          ConfigurationError: an option that is unknown or has a bad value.
        """
        options = self.parse(arguments)
        own = {action.dest for section in self._command.sections for action in actions_of(section.add)}
        values = options.get_all_options()
        changed: dict[str, Any] = options.get_all_options(drop_default=True)
        return {name: values[name] for name in own} | changed


@functools.cache
def options_class(section: Section) -> type[PipelineOptions]:
    """Return a group of options as a class of Beam's, which hands them to the runner and to worker processes."""
    name = "".join(word.title() for word in section.add.__name__.removeprefix("add_").split("_"))
    # Beam distinguishes classes by their full names
    body = {"__module__": __name__, "_add_argparse_args": staticmethod(section.add)}
    return type(name, (PipelineOptions,), body)


def given_of(options: PipelineOptions) -> argparse.Namespace:
    """Return the values of all options, ours and Beam's, as any command line has them."""
    return argparse.Namespace(**options.get_all_options(retain_unknown_options=True))


class _Parser(StrictParser, _BeamArgumentParser):
    """Beam's own parser, but strict."""


def _help_of_beam() -> str:
    formatter = help_formatter("s3box", "JOB [OPTIONS]")
    formatter.add_text("Options of Apache Beam; --help lists the job's own.")
    for cls in _beam_classes():
        add_section(formatter, cls.__name__, _parser((cls,))._actions)
    return formatter.format_help()


def _beam_classes() -> list[type[PipelineOptions]]:
    classes: list[type[PipelineOptions]] = PipelineOptions.__subclasses__()
    return [cls for cls in classes if cls.__module__.startswith("apache_beam.")]


def _parser(classes: Iterable[type[PipelineOptions]]) -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for cls in classes:
        cls._add_argparse_args(parser)
    return parser
