"""The runner matrix says only what is so: each test that it names is there, and runs on the runner of its row."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runners.md").read_text(encoding="utf-8")
ASPECTS = ["size", "time", "windows", "late data", "drain", "failure"]
FIXTURES = {"Prism": "prism", "Flink local": "flink_local", "Flink cluster": "flink_cluster", "Dataflow": "dataflow"}
RUNNERS = ["Direct", *FIXTURES]
NAMED = re.compile(r"\[`(?P<name>test_\w+)`\]\(\.\./(?P<path>tests/[\w/]+\.py)\)")
TESTED, DOCUMENTED, REFUSED = re.compile(f"tested by {NAMED.pattern}"), "by Beam's documents", "refused"


class Cell(NamedTuple):
    runner: str
    input: str
    aspect: str
    text: str


def table() -> list[list[str]]:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


HEAD, _, *ROWS = table()
CELLS = [Cell(row[0], row[1], aspect, text) for row in ROWS for aspect, text in zip(ASPECTS, row[2:], strict=True)]
TESTED_CELLS = [cell for cell in CELLS if TESTED.fullmatch(cell.text)]


def name_of(cell: Cell) -> str:
    return "-".join(cell[:3]).replace(" ", "_")


def test_the_table_is_whole() -> None:
    assert ["runner", "input", *ASPECTS] == HEAD
    assert [(row[0], row[1]) for row in ROWS] == [
        (name, bound) for name in RUNNERS for bound in ("bounded", "unbounded")
    ]


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_a_cell_says_one_of_three_things(cell: Cell) -> None:
    assert TESTED.fullmatch(cell.text) or cell.text in (DOCUMENTED, REFUSED)


def functions_of(path: Path) -> dict[str, ast.FunctionDef]:
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    return {function.name: function for function in functions if function.name.startswith("test_")}


def test_every_test_that_the_page_names_is_there() -> None:
    named = list(NAMED.finditer(PAGE))
    assert len(named) == PAGE.count("`test_")
    for match in named:
        assert match["name"] in functions_of(ROOT / match["path"]), match[0]


@functools.cache
def collected() -> list[str]:
    """Return the ids of all tests on engines, their parameters with them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/runners", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def runs_on(cell: Cell) -> Iterator[str]:
    """Yield what shows that the test of a cell runs on the runner of its row: a parameter's value, or a fixture."""
    match = TESTED.fullmatch(cell.text)
    assert match is not None
    fixture = FIXTURES.get(cell.runner, "direct")
    for name in collected():
        if name.startswith(f"{match['path']}::{match['name']}[") and fixture in re.split(r"[\[\]-]", name):
            yield name
    module = ast.parse((ROOT / match["path"]).read_text(encoding="utf-8"))
    functions = {node.name: node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
    asked = [match["name"]]
    while asked:
        for argument in functions[asked.pop()].args.args:
            if argument.arg == fixture:
                yield argument.arg
            elif argument.arg in functions:
                asked.append(argument.arg)


@pytest.mark.parametrize("cell", [cell for cell in TESTED_CELLS if cell.runner != "Direct"], ids=name_of)
def test_the_test_of_a_cell_runs_on_its_runner(cell: Cell) -> None:
    assert list(runs_on(cell)), f"{cell.text} does not run on {cell.runner}"


@pytest.mark.parametrize("cell", [cell for cell in TESTED_CELLS if cell.runner == "Direct"], ids=name_of)
def test_the_test_of_a_cell_runs_on_a_local_runner(cell: Cell) -> None:
    """Either by its parameters, or by no runner at all: then it is the backfill's default."""
    match = TESTED.fullmatch(cell.text)
    assert match is not None
    source = (ROOT / match["path"]).read_text(encoding="utf-8")
    assert any(word in source for word in ("--runner=FnApiRunner", "--runner=DirectRunner")) or "--runner" not in source


def test_what_is_refused_has_a_test_of_the_refusal() -> None:
    refused = {(cell.runner, cell.input) for cell in CELLS if cell.text == REFUSED}
    for runner, bound in refused:
        words = rf"{runner}, {bound} is refused: tested by\s+{NAMED.pattern}"
        match = re.search(words, PAGE)
        assert match is not None, f"{runner}, {bound}: name the test of its refusal below the table"
        source = ast.unparse(functions_of(ROOT / match["path"])[match["name"]])
        assert "pytest.raises(ConfigurationError" in source
    assert all(cell.text == REFUSED for cell in CELLS if (cell.runner, cell.input) in refused)
