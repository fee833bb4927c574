"""`help`, `config` and `completion`: commands about the other commands."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from beam_s3box.cli.commands.completion import SHELLS, render_completion
from beam_s3box.cli.commands.table import COMMANDS, Command, Run
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say_text
from beam_s3box.cli.options.config import render_config
from beam_s3box.errors import ConfigurationError


def run_help(arguments: Sequence[str], log: CommandLog) -> int:
    """Print the help, of a command or of all, and return the exit code."""
    say_text(find_command(arguments[0]).parser.help() if arguments else _help())
    return 0


def run_config(arguments: Sequence[str], log: CommandLog) -> int:
    """Print all options that a command would run with, as a file for `--config`, and return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        raise ConfigurationError("the command is missing: write s3box config COMMAND [OPTIONS]")
    # the options of jobs are Beam's, too
    from beam_s3box.jobs.run.logging import import_note_silenced

    with import_note_silenced():
        values = find_command(arguments[0]).effective(arguments[1:])
    say_text(render_config(values))
    return 0


def run_completion(arguments: Sequence[str], log: CommandLog) -> int:
    """Print what lets a shell complete commands and options, and return the exit code."""
    shell = arguments[0] if arguments else ""
    if shell not in SHELLS:
        raise ConfigurationError(f"{shell!r} is not a shell that can be completed: it is one of {', '.join(SHELLS)}")
    parsers = {name: command.parser for name, command in COMMANDS.items()}
    say_text(render_completion(shell, parsers, {name: text for name, (_, text) in ABOUT.items()}))
    return 0


ABOUT: Final[dict[str, tuple[Run, str]]] = {
    "config": (run_config, "print the options that a command would run with, as a file for --config"),
    "completion": (run_completion, f"print the completion for a shell: {', '.join(SHELLS)}"),
    "help": (run_help, "print this, or the options of a command"),
}
"""What each does, in code and in words."""


def find_command(name: str) -> Command:
    """Return the command of this name.

    Raises:
      ConfigurationError: there is none; says which was meant.
    """
    if name in COMMANDS:
        return COMMANDS[name]
    known = [*COMMANDS, *ABOUT]
    if not name:
        raise ConfigurationError(f"the command is missing: it is one of {', '.join(known)}; see s3box help")
    close = difflib.get_close_matches(name, [*known, "--version", "--help"], 1)
    hint = f"did you mean {close[0]}?" if close else f"it is one of {', '.join(known)}"
    raise ConfigurationError(f"{name!r} is not a command: {hint}")


def _help() -> str:
    summaries = {name: command.summary for name, command in COMMANDS.items()}
    summaries |= {name: text for name, (_, text) in ABOUT.items()}
    return "\n".join(
        [
            "usage: s3box COMMAND [OPTIONS]",
            "",
            *(f"  {name:<12} {text}" for name, text in summaries.items()),
            "",
            "s3box help COMMAND lists its options, s3box --version prints the version.",
        ]
    )
