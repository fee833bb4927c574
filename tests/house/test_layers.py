"""The layers, one test a rule: the picture in ARCHITECTURE.md says which folder may import which."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import beam_s3box

ROOT = Path(beam_s3box.__file__).resolve().parent.parent
PACKAGE = "beam_s3box"
PICTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Layers\n")[2].split("```")[1]
LAYERS = [
    [name.split() for name in line.partition("  ")[0].split(" | ")] for line in reversed(PICTURE.strip().splitlines())
]
"""From the bottom to the top. What stands between bars may not import each other."""
ROOMS = {name: (row, column) for row, line in enumerate(LAYERS) for column, names in enumerate(line) for name in names}
BESIDE = ("pipelines", "redshift_stand_in", "setup", "tests", "tools")
"""What the package may not import."""


class Import(NamedTuple):
    """One import: the module that has it, the module that it names, and the line."""

    importer: str
    name: str
    where: str


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """Return the name that the picture has for a module: the longest part of its path below the package."""
    parts = module.split(".")[1:]
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in ROOMS), names[-1] if names else "")


def submodule(base: str, name: str) -> str:
    """Return `base.name` if that is a module of ours, else `base`: `from beam_s3box import metrics` names a module."""
    inner = ROOT.joinpath(*base.split("."), name)
    return f"{base}.{name}" if inner.with_suffix(".py").exists() or (inner / "__init__.py").exists() else base


def is_import_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return False
    return (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in ("import_module", "__import__")


@functools.cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """Return what may import, in the package and the launchers, within functions too."""
    kinds = (ast.Import, ast.ImportFrom, ast.Call)
    paths = [path for folder in (PACKAGE, "pipelines") for path in sorted((ROOT / folder).rglob("*.py"))]
    trees = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    return [(path, node) for path, tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]


@functools.cache
def imports() -> list[Import]:
    """Return all imports, those for type checkers and of names in texts included."""
    return list(_imports())


def _imports() -> Iterator[Import]:
    for path, node in nodes():
        importer, where = module_name(path), f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            yield from (Import(importer, alias.name, where) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # the version is all that the package has itself; everything else it fetches from its room
            names = [alias.name for alias in node.names if (node.module, alias.name) != (PACKAGE, "__version__")]
            yield from (Import(importer, submodule(node.module or "", name), where) for name in names)
        elif is_import_call(node):
            yield Import(importer, str(node.args[0].value), where)  # type: ignore[attr-defined]


def wrong(packages: tuple[str, ...], allowed: Callable[[str], bool]) -> list[str]:
    """Return the imports of these packages by modules that are not allowed to."""
    return [
        f"{where} imports {name}"
        for importer, name, where in imports()
        if name.split(".")[0] in packages and not allowed(importer)
    ]


def test_the_search_finds_imports() -> None:
    found = {name for importer, name, _ in imports() if importer == "beam_s3box.formats.json_text"}
    assert {"beam_s3box.checks", "beam_s3box.formats.deflate", "beam_s3box.shards.packing"} <= found


def test_the_picture_names_what_is_there() -> None:
    modules = {module_name(path) for path in (ROOT / PACKAGE).rglob("*.py")} - {PACKAGE}
    assert {room_of(module) for module in modules} - {"cli"} == set(ROOMS), "ARCHITECTURE.md, Layers"


def test_imports_go_down() -> None:
    faults = []
    for importer, name, where in imports():
        upper, lower = room_of(importer), room_of(name)
        if not name.startswith(f"{PACKAGE}.") or not importer.startswith(f"{PACKAGE}.") or upper == lower:
            continue
        (row, column), (other_row, other_column) = ROOMS[upper], ROOMS[lower]
        if other_row > row or (other_row == row and other_column != column):
            faults.append(f"{where}: {upper} imports {name}")
    assert not faults


def test_the_package_imports_nothing_that_stands_next_to_it() -> None:
    assert not wrong(BESIDE, lambda importer: not importer.startswith(PACKAGE))


def test_launchers_import_what_users_may_import() -> None:
    assert not wrong(("redshift_stand_in", "tests"), lambda importer: False)


def test_only_transforms_sources_and_jobs_know_beam() -> None:
    assert not wrong(
        ("apache_beam",),
        lambda importer: importer.startswith(
            ("beam_s3box.transforms", "beam_s3box.sources", "beam_s3box.jobs", "pipelines")
        ),
    )


def test_only_what_talks_to_aws_knows_boto3() -> None:
    allowed = (
        "beam_s3box.stores.s3",
        "beam_s3box.sources.aws",
        "beam_s3box.notify.aws",
        "beam_s3box.redshift.client.data_api",
    )
    assert not wrong(("boto3", "botocore", "s3transfer"), lambda importer: importer.startswith(allowed))


def test_only_the_source_of_kafka_knows_its_client() -> None:
    packages = ("confluent_kafka", "aws_msk_iam_sasl_signer")
    assert not wrong(packages, lambda importer: importer.startswith("beam_s3box.sources.kafka"))


def test_only_what_reads_and_writes_avro_knows_fastavro() -> None:
    allowed = (
        "beam_s3box.formats.avro.format",
        "beam_s3box.jobs.read.avro.reader",
        "beam_s3box.runs.verify.avro_contents",
    )
    assert not wrong(("fastavro",), lambda importer: importer in allowed)


def test_stores_know_keys_and_bytes_only() -> None:
    lowest = LAYERS[0][0]
    named = [one for one in imports() if room_of(one.importer) == "stores" and one.name.startswith(f"{PACKAGE}.")]
    assert not [where for _, name, where in named if room_of(name) not in ("stores", *lowest)]


def test_imports_are_written_in_full() -> None:
    froms = [(path, node) for path, node in nodes() if isinstance(node, ast.ImportFrom)]
    stars = [(path, node) for path, node in froms if node.level or any(alias.name == "*" for alias in node.names)]
    assert not [f"{path.relative_to(ROOT)}:{node.lineno}" for path, node in stars]


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


def test_public_names() -> None:
    """They are sorted, unique and resolve; a lazy name is the very object of its home, and is called so there."""
    names = list(beam_s3box.__all__)
    assert names
    assert names == sorted(set(names))
    with pytest.raises(AttributeError, match="nonsense"):
        beam_s3box.nonsense  # noqa: B018
    for name in names:
        value = getattr(beam_s3box, name)
        assert value is not None
        if isinstance(value, type):
            assert value.__name__ == name
            assert getattr(importlib.import_module(value.__module__), name) is value
            assert value.__module__.startswith(PACKAGE)


def test_each_dependency_has_a_reason() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Dependencies\n")[2]
    reasons = re.findall(r"^\| ([\w.-]+) \| \S.* \|$", text, re.MULTILINE)
    needed: set[str] = set()
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-docs.txt"):
        chosen = (ROOT / name).read_text(encoding="utf-8").partition("# What those need")[0]
        needed |= set(re.findall(r"^([\w.-]+)(?:\[.*\])?==", chosen, re.MULTILINE))
    assert sorted(reasons) == sorted(needed | {"package"})
