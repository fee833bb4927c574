"""The page on reliability: its commands run, in a short form, and what it names exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tests.pages import ROOT, Page
from tests.simulation.schedules import KINDS
from tools.chaos.scenarios import scenarios
from tools.mutants.faults import FAULTS

PAGE = Page("docs/reliability.md")
COMMANDS = [line for block in PAGE.blocks("sh") for line in block.text.splitlines()]
SHORT = {
    "simulate": ["SEEDS=0:3"],
    "chaos": ["MINUTES=0", "ARGS=pack-to-folder"],
    "mutants": ["ARGS=exceeded"],
    "test": ["ARGS=--collect-only --quiet tests/box/test_box_interrupted.py"],
}
"""What is given to each target, so that it ends within a minute."""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(command: str) -> None:
    make, target, *_ = shlex.split(command)
    # as make would run it, but in this environment
    shown = subprocess.run(
        [make, "--no-print-directory", "--dry-run", target, *SHORT[target]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    python, *arguments = shlex.split(shown.stdout.splitlines()[-1])
    assert python.endswith("python")
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=540
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    assert done.stdout


def test_each_command_has_a_short_form() -> None:
    assert {shlex.split(command)[1] for command in COMMANDS} == set(SHORT)


def test_the_scenarios_are_those_of_chaos() -> None:
    rows = {row[0].strip("`") for row in PAGE.rows("| scenario ")}
    assert rows == {*(scenario.name for scenario in scenarios()), "all"}


def test_the_kinds_are_those_of_the_simulation() -> None:
    assert set(KINDS) <= {row[0].strip("`") for row in PAGE.rows("| kind ")}


def test_as_many_faults_are_seeded() -> None:
    [number] = re.findall(r"(\d+) seeded faults", PAGE.text)
    assert len(FAULTS) >= int(number)
