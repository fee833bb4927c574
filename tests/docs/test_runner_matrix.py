"""The runner matrix says only what is so: each test that it names exists, and runs on the runner of its row."""

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

from tests.pages import ROOT, Page

PAGE = Page("docs/runners.md")
SOURCES = ["files", "Kafka", "Kinesis", "S3 events"]
ASPECTS = ["size", "time", "windows", "late data", "drain", "failure", *SOURCES]
FIXTURES = {
    "Prism": "prism",
    "Flink local": "flink_local",
    "Flink cluster": "flink_cluster",
    "Flink cluster 2.62": "flink_cluster_2_62",
    "Spark local": "spark_local",
    "Spark cluster": "spark_cluster",
    "Dataflow": "dataflow",
}
RUNNERS = ["Direct", *FIXTURES]
FOOTNOTES = dict(re.findall(r"^\[\^([\w-]+)\]: `(tests/[\w/]+\.py::test_\w+)`$", PAGE.text, re.MULTILINE))
TESTED = re.compile(r"✓\[\^([\w-]+)\]")
DOCUMENTED, REFUSED, UNTESTED, OTHER_INPUT = "○", "✗", "·", "—"
REFUSALS = {"Direct": "refused", "Spark local": "spark-streams", "Spark cluster": "spark-streams"}
"""Runners that refuse unbounded input, and the footnotes of the tests of that."""


class Cell(NamedTuple):
    runner: str
    input: str
    aspect: str
    text: str

    @property
    def test(self) -> tuple[str, str]:
        """The path and the name of the test that the cell's footnote names."""
        path, _, name = FOOTNOTES[TESTED.findall(self.text)[0]].partition("::")
        return path, name


ROWS = PAGE.rows("| runner ")
CELLS = [Cell(row[0], row[1], aspect, text) for row in ROWS for aspect, text in zip(ASPECTS, row[2:], strict=True)]
TESTED_CELLS = [cell for cell in CELLS if TESTED.fullmatch(cell.text)]


def name_of(cell: Cell) -> str:
    return "-".join(cell[:3]).replace(" ", "_")


def test_the_table_is_whole() -> None:
    assert f"| {' | '.join(['runner', 'input', *ASPECTS])} |" in PAGE.text
    assert [(row[0], row[1]) for row in ROWS] == [
        (name, bound) for name in RUNNERS for bound in ("bounded", "unbounded")
    ]


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_a_cell_says_one_of_a_few_things(cell: Cell) -> None:
    assert TESTED.fullmatch(cell.text) or cell.text in (DOCUMENTED, REFUSED, UNTESTED, OTHER_INPUT)


def test_only_what_no_engine_here_can_show_is_by_documents() -> None:
    assert {cell.runner for cell in CELLS if cell.text == DOCUMENTED} == {"Dataflow"}
    assert {cell.aspect for cell in CELLS if cell.text in (UNTESTED, OTHER_INPUT)} <= set(SOURCES)
    assert all(cell.input == "bounded" for cell in CELLS if cell.text == OTHER_INPUT)


def test_each_footnote_is_there_and_is_used() -> None:
    assert set(re.findall(r"\[\^([\w-]+)\](?!:)", PAGE.text)) == set(FOOTNOTES)


def functions_of(path: Path) -> dict[str, ast.FunctionDef]:
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    return {function.name: function for function in functions if function.name.startswith("test_")}


@functools.cache
def collected() -> list[str]:
    """Return the ids of all tests on engines, their parameters with them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/runners", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def runs_on(cell: Cell) -> Iterator[str]:
    """Yield what shows that the test of a cell runs on the runner of its row: a parameter's value, or a fixture."""
    path, test = cell.test
    fixture = FIXTURES.get(cell.runner, "direct")
    for name in collected():
        if name.startswith(f"{path}::{test}[") and fixture in re.split(r"[\[\]-]", name):
            yield name
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name: node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
    asked = [test]
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
    path, _ = cell.test
    source = (ROOT / path).read_text(encoding="utf-8")
    assert any(word in source for word in ("--runner=FnApiRunner", "--runner=DirectRunner")) or "--runner" not in source


def test_what_is_refused_has_a_test_of_the_refusal() -> None:
    refused = {(cell.runner, cell.input) for cell in CELLS if cell.text == REFUSED}
    assert refused == {(name, "unbounded") for name in REFUSALS}
    assert all(cell.text == REFUSED for cell in CELLS if (cell.runner, cell.input) in refused)
    for footnote in REFUSALS.values():
        path, _, name = FOOTNOTES[footnote].partition("::")
        assert "pytest.raises(ConfigurationError" in ast.unparse(functions_of(ROOT / path)[name])
