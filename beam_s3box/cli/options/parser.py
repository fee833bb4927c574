"""A strict command line: an unknown argument is an error that suggests the right one. Help in groups."""

from __future__ import annotations

import argparse
import difflib
import itertools
import operator
import re
import shutil
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, Final, NamedTuple, NoReturn

from beam_s3box.cli.options.config import add_config_argument, expand_config
from beam_s3box.cli.options.values import whole_number
from beam_s3box.errors import ConfigurationError

_SHORT = re.compile(r"^argument (?:[^:\s]*/)?(--\w+): ")
_MAX_WIDTH = 110
_OTHERS_LIKENESS = 0.8
"""How similar to one of Beam's options a typo must be to be taken for it: among so many, one always is a little."""


class StrictParser(argparse.ArgumentParser):
    """Raises what argparse would print before it ends the process."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", int, whole_number)

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


CONFIG: Final = Section("Configuration", add_config_argument)


class CommandParser:
    """The command line of one command.

    Args:
      program: how it is started.
      usage: what follows.
      description: what it does.
      sections: its options, in the order of the help; neighbours of one title are one group.
      inherited: options that are not its own, and that its help describes.
      closing: title and text at the end of the help.

    Attributes:
      program: how it is started.
    """

    def __init__(
        self,
        program: str,
        usage: str,
        description: str,
        sections: Sequence[Section],
        *,
        inherited: Sequence[Section] = (),
        closing: tuple[str, str] | None = None,
    ) -> None:
        self.program = program
        self._usage = usage
        self._description = description
        self.sections = (*sections, CONFIG)
        self._inherited = tuple(inherited)
        self._closing = closing

    @property
    def actions(self) -> list[argparse.Action]:
        """The options, as argparse knows them; also those that are not its own."""
        return [action for section in (*self.sections, *self._inherited) for action in actions_of(section.add)]

    @property
    def names(self) -> list[str]:
        """How the options are written."""
        return option_names(self.actions)

    def help(self) -> str:
        """Return the help."""
        formatter = help_formatter(self.program, self._usage)
        formatter.add_text(self._description)
        for title, sections in itertools.groupby((*self.sections, *self._inherited), operator.attrgetter("title")):
            add_section(formatter, title, [action for section in sections for action in actions_of(section.add)])
        if self._closing is not None:
            formatter.start_section(self._closing[0])
            formatter.add_text(self._closing[1])
            formatter.end_section()
        return formatter.format_help()

    def help_asked(self, arguments: Sequence[str]) -> str | None:
        """Return the help if the arguments ask for it, None if they don't."""
        return self.help() if asks_for_help(arguments) else None

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options.

        Raises:
          ConfigurationError: an option that is unknown or has a bad value.
        """
        parser = StrictParser(add_help=False, allow_abbrev=False)
        for section in self.sections:
            section.add(parser)
        given, unknown = parser.parse_known_args(expand(arguments, parser._actions))
        if unknown:
            raise ConfigurationError(explain_unknown(unknown[0], self.names))
        self._prefer_typed(given, parser.parse_known_args(_as_named(arguments, parser._actions))[0])
        return given

    def effective(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Return all options by name, from the command line, the configuration and the defaults.

        Raises:
          ConfigurationError: an option that is unknown or has a bad value.
        """
        given = vars(self.parse(arguments))
        values = {action.dest: given[action.dest] for action in self.actions if action.option_strings}
        for argument, option in self._twice_named:
            values[option] = given[argument] or values[option]
        return values

    @property
    def _twice_named(self) -> list[tuple[str, str]]:
        """The arguments without a name that may be given as an option as well, each with that option."""
        options = {action.dest for action in self.actions if action.option_strings}
        bare = {action.dest: str(action.metavar).lower() for action in self.actions if not action.option_strings}
        return [(argument, option) for argument, option in bare.items() if option in options]

    def _prefer_typed(self, given: argparse.Namespace, typed: argparse.Namespace) -> None:
        """Forget an option from a file of options where the command line has the same without a name."""
        for argument, option in self._twice_named:
            if getattr(typed, argument) and getattr(typed, option) is None:
                setattr(given, option, None)


def chosen_of(given: argparse.Namespace, actions: Iterable[argparse.Action]) -> dict[str, Any]:
    """Return the options that are not as they are by default, by name."""
    values = {action.dest: (getattr(given, action.dest, None), action.default) for action in actions}
    return {name: value for name, (value, default) in values.items() if value not in (None, default)}


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Return whether the arguments ask for a command's help."""
    return not {"-h", "--help"}.isdisjoint(before_dashes(arguments))


def before_dashes(arguments: Sequence[str]) -> list[str]:
    """Return the arguments in front of `--`."""
    return list(itertools.takewhile("--".__ne__, arguments))


def expand(arguments: Sequence[str], actions: Sequence[argparse.Action]) -> list[str]:
    """Return the arguments as options are named: `--max_records` for `--max-records`; `--config` as what it holds.

    Args:
      arguments: options, without what follows `--`.
      actions: the options that there are.

    Raises:
      ConfigurationError: a configuration that can't be read or has an option or a value that is none.
    """
    return expand_config(_as_named(arguments, actions), actions)


def _as_named(arguments: Sequence[str], actions: Sequence[argparse.Action]) -> list[str]:
    known = set(option_names(actions))
    return [_underscored(argument, known) for argument in arguments]


def _underscored(argument: str, known: Set[str]) -> str:
    name, equals, value = argument.partition("=")
    with_underscores = f"--{name[2:].replace('-', '_')}"
    is_meant = name.startswith("--") and name not in known and with_underscores in known
    return f"{with_underscores}{equals}{value}" if is_meant else argument


def explain_unknown(
    argument: str, own: Sequence[str], others: Sequence[str] = (), hint: str = "see --help", place: str = ""
) -> str:
    """Return what is wrong with an argument that no option takes; a value that it carries is not shown.

    Args:
      argument: that no option takes.
      own: options of the command.
      others: options that it takes as well.
      hint: what to do if none is similar.
      place: the option that a URL without a name is meant for; empty for none.
    """
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        if place and "://" in argument:
            return f"{argument!r} belongs to no option: write {place}={argument}"
        return f"{argument!r} belongs to no option: write --name=value, and quote patterns of files in the shell"
    wanted = f"--{name.lstrip('-').replace('-', '_')}"
    owners = [] if wanted in own else _owners_of(wanted)
    if owners:
        return f"{name} is not an option here, but one of {', '.join(owners)}"
    close = difflib.get_close_matches(wanted, own, 1) or difflib.get_close_matches(wanted, others, 1, _OTHERS_LIKENESS)
    if close:
        return f"{name} is not an option: did you mean {close[0]}?"
    return f"{name} is not an option: {hint}"


def _owners_of(name: str) -> list[str]:
    """Return the commands that write and have an option of this name."""
    from beam_s3box.cli.options.jobs import BACKFILL, STREAM  # these import this module
    from beam_s3box.cli.options.pack import PACK_PARSER

    return [command.program for command in (BACKFILL, STREAM, PACK_PARSER) if name in command.names]


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
