"""A command line that is read strictly: what no option takes is an error that says what was meant. Help in groups."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from beam_s3box.errors import ConfigurationError

PARAMETERS: Final[Mapping[str, str]] = {
    "region": "s3_region_name",
    "endpoint_url": "s3_endpoint_url",
    "verify": "s3_verify",
    "sse": "s3_sse",
    "sse_kms_key_id": "s3_sse_kms_key_id",
    "storage_class": "s3_storage_class",
    "tags": "s3_tags",
    "acl": "s3_acl",
    "role_arn": "s3_role_arn",
    "retry_seconds": "s3_retry_seconds",
    "max_attempts": "s3_max_attempts",
    "conditional_writes": "s3_conditional_writes",
    "checksums": "s3_checksums",
    "concurrency": "s3_concurrency",
    "upload_concurrency": "s3_concurrency",
}
"""Options that are not named as the parameters they set."""

_NAMED = re.compile(r"(?<![\w'\"{-])([a-z][a-z0-9_]*)=(True\b)?")
_SHORT = re.compile(r"^argument (?:[^:\s]*/)?(--\w+): ")
_MAX_WIDTH = 110
_OTHERS_LIKENESS = 0.8
"""How like an option of others a typo must be to be taken for it: of so many, one is always a little like it."""


class StrictParser(argparse.ArgumentParser):
    """Raises what argparse would print before it ends the process."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError."""
        raise ConfigurationError(_SHORT.sub(r"\1: ", message, count=1))


class Section(NamedTuple):
    """A group of options.

    Attributes:
      title: in the help.
      add: adds the options to a parser.
    """

    title: str
    add: Callable[[argparse.ArgumentParser], None]


class CommandParser:
    """The command line of one command.

    Args:
      program: how it is started.
      usage: what follows.
      description: what it does.
      sections: its options, in the order of the help.
    """

    def __init__(self, program: str, usage: str, description: str, sections: Sequence[Section]) -> None:
        self._program = program
        self._usage = usage
        self._description = description
        self._sections = tuple(sections)

    @property
    def names(self) -> list[str]:
        """The options."""
        return option_names(action for section in self._sections for action in actions_of(section.add))

    def help_asked(self, arguments: Sequence[str]) -> str | None:
        """Return the help that the arguments ask for, None if they don't."""
        if not {"-h", "--help"} & set(arguments):
            return None
        formatter = help_formatter(self._program, self._usage)
        formatter.add_text(self._description)
        for section in self._sections:
            add_section(formatter, section.title, actions_of(section.add))
        return formatter.format_help()

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options.

        Raises:
          ConfigurationError: an option that is unknown or has a bad value.
        """
        parser = StrictParser(add_help=False, allow_abbrev=False)
        for section in self._sections:
            section.add(parser)
        given, unknown = parser.parse_known_args(list(arguments))
        if unknown:
            raise ConfigurationError(explain_unknown(unknown[0], self.names))
        return given

    def as_flags(self, message: str) -> str:
        """Return a message about parameters as one about options."""
        return as_flags(message, self.names)


def as_flags(message: str, known: Iterable[str], parameters: Mapping[str, str] = PARAMETERS) -> str:
    """Return a message about parameters as one about options: `--max_records=` for `max_records=`."""
    known = set(known)

    def flag(match: re.Match[str]) -> str:
        name = f"--{parameters.get(match[1], match[1])}"
        if name not in known and match[1] not in parameters:
            return match[0]
        return name if match[2] else f"{name}="

    return _NAMED.sub(flag, message)


def explain_unknown(argument: str, own: Sequence[str], others: Sequence[str] = (), hint: str = "see --help") -> str:
    """Return what is wrong with an argument that no option takes; a value that it carries is not shown."""
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        return f"{argument!r} belongs to no option: write --name=value, and quote patterns of files in the shell"
    wanted = f"--{name.lstrip('-')}"
    close = difflib.get_close_matches(wanted, own, 1) or difflib.get_close_matches(wanted, others, 1, _OTHERS_LIKENESS)
    if close:
        return f"{name} is not an option: did you mean {close[0]}?"
    return f"{name} is not an option: {hint}"


def actions_of(add: Callable[[argparse.ArgumentParser], None]) -> list[argparse.Action]:
    """Return the options that a function adds."""
    parser = StrictParser(add_help=False)
    add(parser)
    return parser._actions


def option_names(actions: Iterable[argparse.Action]) -> list[str]:
    """Return how the options are written."""
    return [name for action in actions for name in action.option_strings]


def help_formatter(program: str, usage: str) -> argparse.HelpFormatter:
    """Return what the help is written with, its usage line in it."""
    width = min(shutil.get_terminal_size((100, 24)).columns, _MAX_WIDTH)
    formatter = argparse.HelpFormatter(program, max_help_position=30, width=width)
    formatter.add_usage(f"{program} {usage}", (), ())
    return formatter


def add_section(formatter: argparse.HelpFormatter, title: str, actions: Iterable[argparse.Action]) -> None:
    """Add a group of options to the help."""
    formatter.start_section(title)
    formatter.add_arguments(actions)
    formatter.end_section()
