r"""The command `s3box`, also started as `python -m beam_s3box`.

cat data/*.jsonl | python -m beam_s3box pack s3://bucket/prefix --domain_field=carrier --namespace_field=origin
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from beam_s3box.cli.commands import load as cli_redshift_load
from beam_s3box.cli.commands import pack as cli_pack
from beam_s3box.cli.commands import sql as cli_redshift_sql
from beam_s3box.cli.commands.jobs import JOBS, run_job_command
from beam_s3box.cli.console.interrupts import exit_code_of, interrupted_of, signals_raise
from beam_s3box.cli.console.logging import ToolLog, installed
from beam_s3box.cli.console.output import say, say_text, say_version, sturdy_output
from beam_s3box.cli.console.tell import end

COMMANDS: Final[Mapping[str, tuple[Callable[[Sequence[str], ToolLog], int], str]]] = {
    "pack": (cli_pack.run, "pack JSON lines into gzip shards on S3, with the manifests that Redshift's COPY loads"),
    "copy-sql": (cli_redshift_sql.run_copy_sql, "print the COPY that loads a manifest into a Redshift table"),
    "load": (cli_redshift_load.run_load, "load manifests into a Redshift table, each exactly once"),
    "create-table": (cli_redshift_sql.run_create_table, "print the CREATE TABLE for the records of a manifest"),
}
"""What each command does, in code and in words."""

_HELP: Final = "\n".join(
    [
        "usage: s3box COMMAND [OPTIONS]",
        "",
        *(
            f"  {name:<12} {text}"
            for name, text in {**{name: text for name, (_, text) in COMMANDS.items()}, **JOBS}.items()
        ),
        "",
        "s3box COMMAND --help lists its options, s3box --version prints the version.",
    ]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
      argv: arguments without the program's name; default: the command line's, and then a command that fails ends the
        process, without waiting for threads whose work no longer counts.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in JOBS:
        return run_job_command(arguments[0], arguments[1:], owns_process=argv is None)
    log = ToolLog("beam_s3box")
    with sturdy_output(), installed(log):
        try:
            with signals_raise():
                code = _run(arguments, log)
        except KeyboardInterrupt as exc:
            interrupted = interrupted_of(exc)
            say(str(interrupted), error=True)
            code = exit_code_of(interrupted.number)
    if argv is None and code:
        os._exit(code)
    return code


def _run(arguments: Sequence[str], log: ToolLog) -> int:
    name, *rest = arguments or [""]
    if name in COMMANDS:
        return COMMANDS[name][0](rest, log)
    if name in ("-h", "--help"):
        say_text(_HELP)
        return 0
    if name == "--version":
        say_version()
        return 0
    return end(2, _explain(name), log)


def _explain(name: str) -> str:
    known = ", ".join([*COMMANDS, *JOBS])
    if not name:
        return f"the command is missing: it is one of {known}; see --help"
    close = difflib.get_close_matches(name, [*COMMANDS, *JOBS], 1)
    return f"{name!r} is not a command: {f'did you mean {close[0]}?' if close else f'it is one of {known}'}"
