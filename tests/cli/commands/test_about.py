"""Help, version and completion: what asks about commands, without loading them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from beam_s3box import __version__
from beam_s3box.cli.commands.table import COMMANDS
from beam_s3box.cli.main import main
from tests.cli.conftest import ROOT


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"], ["help", "--help"], ["config", "-h"]])
def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert names == [*COMMANDS, "config", "completion", "help"]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_of_a_command_is_the_commands_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["help", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: s3box {name} ")
    assert all(option in text for option in COMMANDS[name].parser.names)
    for arguments in ([name, "--help"], [name, "--max_records=1", "-h"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == text


def test_the_options_of_a_job_are_printed_without_beams_notes() -> None:
    command = [sys.executable, "-m", "beam_s3box", "config", "backfill", "--max_records=7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert (b"max_records = 7" in done.stdout, done.stderr) == (True, b"")


@pytest.mark.parametrize("arguments", [["--version"], ["pack", "--version"], ["backfill", "--version"]])
def test_the_version(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"beam_s3box {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["help", "backfill"], ["backfill", "--help"], ["stream", "--version"], ["completion", "bash"]],
)
def test_asking_imports_no_beam_and_no_boto(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "beam_s3box", *arguments], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout
    for heavy in (b"apache_beam", b"boto3", b"fastavro", b"pyarrow"):
        assert heavy not in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["s3box", "b"], ["backfill"]),
        (["s3box", "co"], ["compact", "copy-sql", "config", "completion"]),
        (["s3box", "stream", "--poll"], ["--poll_interval"]),
        (["s3box", "pack", "--format", "json"], ["json-lines", "json-array"]),
        (["s3box", "pack", "--format", "=", "a"], ["avro"]),
        (["s3box", "pack", "--format", "="], ["json-lines", "json-array", "avro"]),
        (["s3box", "help", "cr"], ["create-table"]),
        (["s3box", "completion", "f"], ["fish"]),
        (["s3box", "pack", "--input", "da"], []),
    ],
)
def test_bash_completes(capsys: pytest.CaptureFixture[str], words: list[str], expected: list[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    line = " ".join(f"'{word}'" for word in words)
    program = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _s3box; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_every_command_and_option(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert name in script
        for option in command.parser.names:
            assert option.removeprefix("--") in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "ksh"]) == 2
    assert "it is one of bash, zsh, fish" in capsys.readouterr().err
