"""The package is independent: it imports nothing of this repository, and declares its requirements."""

from __future__ import annotations

import ast
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import redshift_stand_in

PACKAGE = pathlib.Path(redshift_stand_in.__file__).parent
TESTS = PACKAGE / "tests"
NEEDED = {"boto3": {"boto3", "botocore"}}
"""What a requirement gives to import, where that is not its own name."""

FOR_TESTS = {"psycopg", "pytest"}


def imported(paths: list[pathlib.Path]) -> Iterator[str]:
    """Yield the top-level names that these files import, also within functions and for type checkers."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno} is relative"
                yield (node.module or "").partition(".")[0]


def requirements() -> set[str]:
    """Return the modules of the package's requirements."""
    listed = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[><=!~ ]", one)[0].replace("-", "_") for one in listed]
    return {module for name in names for module in NEEDED.get(name, {name})}


def others(paths: list[pathlib.Path]) -> set[str]:
    return set(imported(paths)) - set(sys.stdlib_module_names) - {PACKAGE.name}


def test_it_imports_what_it_requires_and_nothing_else() -> None:
    code = [path for path in PACKAGE.rglob("*.py") if TESTS not in path.parents]
    assert len(code) > 30
    assert others(code) == requirements()


def test_its_tests_import_nothing_of_this_repository() -> None:
    assert others(list(TESTS.rglob("*.py"))) <= requirements() | FOR_TESTS


def test_it_runs_without_the_repository(tmp_path: pathlib.Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    command = [sys.executable, "-m", PACKAGE.name, "--help"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--s3-endpoint-url" in done.stdout
