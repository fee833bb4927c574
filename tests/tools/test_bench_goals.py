"""Lines of the bench: the median counts, a goal is met or not, and a run is compared with the one before."""

from __future__ import annotations

import pathlib

import pytest

from tools.bench import goals
from tools.bench.goals import Line


@pytest.mark.parametrize(
    ("line", "met", "wanted"),
    [
        (Line("a", [1.0, 9.0, 2.0], 2.0), "yes", "<= 2"),
        (Line("a", [1.0, 9.0, 2.1], 2.0), "NO", "<= 2"),
        (Line("a", [100_000.0], 100_000, at_least=True), "yes", ">= 100,000"),
        (Line("a", [99_999.0], 100_000, at_least=True), "NO", ">= 100,000"),
        (Line("a", [1.0]), "", ""),
    ],
)
def test_the_median_is_held_against_the_goal(line: Line, met: str, wanted: str) -> None:
    assert (line.met, line.wanted) == (met, wanted)


def test_two_runs_are_compared(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(goals, "_FOLDER", tmp_path / "goals")
    monkeypatch.setattr(goals, "_BEFORE", tmp_path / "goals-before")
    for found in (2.0, 2.2):
        goals.report("some", [Line("first", [found], 3.0), Line(f"named {found}", [1.0])])
    capsys.readouterr()
    goals.summary(["some", "never measured"])
    said = [line.split() for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert ["│", "first", "│", "<=", "3", "│", "2.2", "│", "yes", "│", "2", "│", "+10", "%", "│"] in said
    assert ["│", "named", "2.2", "│", "│", "1", "│", "│", "│", "│"] in said
