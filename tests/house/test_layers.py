"""The layers: a module imports only from rows below its own, and `import beam_s3box` loads nothing heavy."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import beam_s3box

ROOT = Path(beam_s3box.__file__).resolve().parent.parent
PACKAGE = "beam_s3box"
TOP = 10
"""Row of the package's own `__init__`: it hands out names of every row, when they are asked for."""

ROWS = {
    "errors": 0,
    "checks": 0,
    "metrics": 0,
    "sizes": 0,
    "system": 0,
    "records": 1,
    "shards": 2,
    "formats": 3,
    "stores": 3,
    "engine": 4,
    "redshift": 5,
    "box": 6,
    "streamer": 6,
    "transforms": 6,
    "testing": 6,
    "cli.console": 7,
    "cli.options": 7,
    "jobs": 8,
    "cli.commands": 9,
    "cli.main": 9,
    "cli": 9,
    "__main__": 9,
}
OURS = {"pipelines": 9, "redshift_stand_in": TOP, "tools": TOP, "tests": TOP}
AWS_MODULES = ("beam_s3box.stores.s3", "beam_s3box.redshift.client.data_api")
BEAM_MODULES = ("transforms", "jobs")
"""What shares a row with the transforms or stands above them must run without Beam."""


class Import(NamedTuple):
    """One imported module, by its full name, and where that is written."""

    name: str
    where: str


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def row_of(module: str) -> int:
    """Return the row of a module of ours, or fail with what to do about one that is in none."""
    first, _, rest = module.partition(".")
    if first in OURS:
        return OURS[first]
    if not rest:
        return TOP
    part = next((room for room in (".".join(rest.split(".")[:2]), rest.split(".")[0]) if room in ROWS), rest)
    if part not in ROWS:
        here = Path(__file__).name
        pytest.fail(f"{module} is in no row: add {part!r} to ROWS in {here} and to the layers of ARCHITECTURE.md")
    return ROWS[part]


def imports_of(path: Path) -> Iterator[Import]:
    """Yield what a file imports, also within functions and for type checkers, names of submodules resolved."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, where) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # the package's version is all that it has at hand itself; everything else it fetches
            names = [alias.name for alias in node.names if (base, alias.name) != (PACKAGE, "__version__")]
            yield from (Import(submodule(base, name), where) for name in names)
        elif isinstance(node, ast.Call) and is_import_call(node) and isinstance(node.args[0], ast.Constant):
            yield Import(str(node.args[0].value), where)


def is_import_call(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in ("import_module", "__import__") and bool(node.args)


def submodule(base: str, name: str) -> str:
    """Return `base.name` if that is a module of ours, else `base`: `from beam_s3box import metrics` names a module."""
    inner = ROOT.joinpath(*base.split("."), name)
    return f"{base}.{name}" if inner.with_suffix(".py").exists() or (inner / "__init__.py").exists() else base


def is_of(name: str, *packages: str) -> bool:
    return name.split(".")[0] in packages


PACKAGE_SOURCES = sources(PACKAGE)
ALL_SOURCES = [*PACKAGE_SOURCES, *sources("pipelines")]
EACH_OF_THE_PACKAGE = pytest.mark.parametrize("path", PACKAGE_SOURCES, ids=module_name)
EACH = pytest.mark.parametrize("path", ALL_SOURCES, ids=module_name)


def test_the_rows_name_modules_that_the_search_finds() -> None:
    modules = {module_name(path) for path in PACKAGE_SOURCES}
    assert {"beam_s3box.errors", "beam_s3box.formats.deflate", "beam_s3box.stores.base"} <= modules
    found = list(imports_of(ROOT / PACKAGE / "formats" / "json_text.py"))
    assert {"beam_s3box.errors", "beam_s3box.formats.deflate", "beam_s3box.shards.packing"} <= {
        one.name for one in found
    }


@EACH
def test_imports_come_from_rows_below(path: Path) -> None:
    row = row_of(module_name(path))
    for name, where in imports_of(path):
        if is_of(name, PACKAGE, *OURS):
            assert row_of(name) <= row, f"{where}: row {row} imports {name} of row {row_of(name)}"


@EACH_OF_THE_PACKAGE
def test_the_package_imports_nothing_that_stands_beside_it(path: Path) -> None:
    for name, where in imports_of(path):
        assert not is_of(name, "pipelines", "redshift_stand_in", "tools", "tests", "setup"), f"{where} imports {name}"


@EACH_OF_THE_PACKAGE
def test_only_transforms_know_beam(path: Path) -> None:
    part = module_name(path).partition(".")[2].partition(".")[0]
    for name, where in imports_of(path):
        if is_of(name, "apache_beam"):
            assert part in BEAM_MODULES, f"{where} imports {name}"


@EACH
def test_only_what_talks_to_aws_knows_boto3(path: Path) -> None:
    for name, where in imports_of(path):
        if is_of(name, "boto3", "botocore", "s3transfer"):
            assert module_name(path).startswith(AWS_MODULES), f"{where} imports {name}"


@EACH
def test_only_the_avro_format_knows_fastavro(path: Path) -> None:
    for name, where in imports_of(path):
        if is_of(name, "fastavro"):
            assert module_name(path) == "beam_s3box.formats.avro.format", f"{where} imports {name}"


@EACH_OF_THE_PACKAGE
def test_stores_know_no_shards_and_formats_no_stores(path: Path) -> None:
    part = module_name(path).split(".")[1:2]
    for name, where in imports_of(path):
        if part == ["stores"] and is_of(name, PACKAGE):
            assert row_of(name) == 0 or name.startswith("beam_s3box.stores"), f"{where} imports {name}"
        if part == ["formats"]:
            assert not name.startswith("beam_s3box.stores"), f"{where} imports {name}"


@EACH
def test_imports_are_written_in_full(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is relative"
            assert all(alias.name != "*" for alias in node.names), f"{path.name}:{node.lineno} imports *"


@pytest.mark.parametrize(
    "modules",
    [
        "",
        ".errors .stores .formats .records.routing .engine.shard_builder .engine.uploads .engine.manifests",
        ".redshift",
    ],
)
def test_importing_loads_neither_beam_nor_boto3(modules: str) -> None:
    statement = "import " + ", ".join(["beam_s3box", *(f"beam_s3box{module}" for module in modules.split())])
    heavy = ("apache_beam", "boto3", "botocore", "fastavro", "numpy", "pandas")
    program = f"import sys\n{statement}\nprint([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_public_names_are_sorted_and_unique() -> None:
    names = list(beam_s3box.__all__)
    assert names
    assert names == sorted(names)
    assert len(set(names)) == len(names)


def test_public_names_resolve() -> None:
    for name in beam_s3box.__all__:
        assert getattr(beam_s3box, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        beam_s3box.nonsense  # noqa: B018


def test_public_names_stand_for_themselves() -> None:
    """A lazy name must be the very object of its home, and be called so there."""
    for name in beam_s3box.__all__:
        value = getattr(beam_s3box, name)
        if isinstance(value, type):
            assert value.__name__ == name
            assert getattr(importlib.import_module(value.__module__), name) is value
            assert value.__module__.startswith(PACKAGE)
