r"""The command `s3box`, also started as `python -m beam_s3box`.

cat data/*.jsonl | python -m beam_s3box pack s3://bucket/prefix --domain_field=carrier --namespace_field=origin
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from beam_s3box.cli.commands.about import ABOUT, find_command, run_help
from beam_s3box.cli.commands.table import COMMANDS
from beam_s3box.cli.console.interrupts import WHAT_COUNTS, exit_code_of, interrupted_of, signals_raise
from beam_s3box.cli.console.logging import CommandLog, installed
from beam_s3box.cli.console.output import say, say_version, sturdy_output
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.parser import asks_for_help, before_dashes
from beam_s3box.errors import S3BoxError
from beam_s3box.system.heap import own_process

_WRITERS: Final = frozenset({"pack", "compact", "redrive"})
"""Commands that list shards in manifests."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
      argv: arguments without the program's name; default: the command line's, and then a command that fails ends the
        process, without waiting for threads whose work no longer counts.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ""
    if name in COMMANDS and COMMANDS[name].is_job and not _asks_about(arguments):
        # what the jobs share with Beam's logging is loaded for a job only
        from beam_s3box.jobs.run.entry import run_command

        return run_command(lambda rest, log: COMMANDS[name].run(rest, log), arguments[1:], owns_process=argv is None)
    if argv is None:
        own_process()
    log = CommandLog("beam_s3box")
    with sturdy_output(), installed(log):
        try:
            with signals_raise(message=WHAT_COUNTS if name in _WRITERS else ""):
                code = _run(arguments, log)
        except KeyboardInterrupt as exc:
            interrupted = interrupted_of(exc)
            say(str(interrupted), error=True)
            code = exit_code_of(interrupted.number)
    if argv is None and code:
        os._exit(code)
    return code


def _run(arguments: Sequence[str], log: CommandLog) -> int:
    name, *rest = arguments or [""]
    if "--version" in before_dashes(arguments):
        say_version()
        return 0
    try:
        if name in ("-h", "--help"):
            return run_help(rest, log)
        if name in ABOUT:
            return run_help([], log) if asks_for_help(rest) else ABOUT[name][0](rest, log)
        command = find_command(name)
        return run_help([name], log) if asks_for_help(rest) else command.run(rest, log)
    except S3BoxError as exc:
        return fail_with(2, str(exc), log)


def _asks_about(arguments: Sequence[str]) -> bool:
    """Return whether a job's help or the version is asked for, which needs no Beam."""
    return asks_for_help(arguments) or "--version" in before_dashes(arguments)
