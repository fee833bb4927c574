"""What users install: the distributions, the package without Beam on each Python, and the types that users see."""

from __future__ import annotations

import email
import email.message
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

import beam_s3box
from beam_s3box.cli.commands.table import COMMANDS
from beam_s3box.stores import open_store
from tools.seaweedfs import REGION, Server

ROOT = pathlib.Path(__file__).parents[2]
VERSION = f"beam_s3box {beam_s3box.__version__}\n"
PYTHONS = ("3.11", "3.12", "3.13")
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
EMBEDDED = ROOT / "requirements-embedded.txt"
MAX_EMBEDDED_BYTES = 100_000_000
"""A layer of AWS Lambda may have 250 MB, unzipped and with all else that is in it."""
NEED_BEAM = {"CopyToRedshift", "CopyToRedshiftResult", "Tuning", "WriteToS3Box", "WriteToS3BoxResult"}
MAX_IMPORT_SECONDS = 0.05
_NOT_SOURCES = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")


class Built(NamedTuple):
    """The distributions."""

    sdist: pathlib.Path
    wheel: pathlib.Path


class Environment(NamedTuple):
    """A virtual environment: its interpreter, and the folder of what is installed in it."""

    python: pathlib.Path
    packages: pathlib.Path


def run(*command: str | pathlib.Path, cwd: pathlib.Path, **options: object) -> str:
    """Run a command where nothing but its own environment is found, and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_"))}
    given = {"env": clean, "text": True, "capture_output": True, "check": False, **options}
    done: subprocess.CompletedProcess[str] = subprocess.run(list(map(str, command)), cwd=cwd, **given)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def find_python(version: str) -> str | None:
    """Return an interpreter of this version on this machine: on the PATH, or one of pyenv's."""
    if version == THIS_PYTHON:
        return sys.executable
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    on_path = shutil.which(f"python{version}")
    candidates = [on_path] if on_path else []
    candidates += map(str, sorted(pyenv.glob(f"versions/{version}*/bin/python{version}")))
    for candidate in candidates:
        # pyenv's shim is on the PATH also for versions that it does not start
        if subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def make_environment(python: str, folder: pathlib.Path) -> Environment:
    run(python, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    [packages] = folder.glob("lib/python*/site-packages")
    return Environment(folder / "bin" / "python", packages)


def install(environment: Environment, *arguments: str | pathlib.Path) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", environment.python)
    run(*pip, "install", "--no-deps", *arguments, cwd=ROOT)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return an sdist of the sources, and the wheel that is built from that sdist alone."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "sources", ignore=_NOT_SOURCES)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "sources", cwd=folder)
    [sdist] = folder.glob("dist/*.tar.gz")
    [wheel] = folder.glob("dist/*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module", params=PYTHONS)
def embedded(
    request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """Return an environment with the wheel and requirements-embedded.txt, for each Python of this machine."""
    python = find_python(request.param)
    if python is None:
        pytest.skip(f"Python {request.param} is not on this machine")
    environment = make_environment(python, tmp_path_factory.mktemp("embedded") / "venv")
    install(environment, "-r", EMBEDDED, built.wheel)
    yield environment
    shutil.rmtree(environment.python.parents[1])


@pytest.fixture(scope="module")
def with_beam(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the wheel, and with the libraries of this one."""
    environment = make_environment(sys.executable, tmp_path_factory.mktemp("with-beam") / "venv")
    install(environment, built.wheel)
    (environment.packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return environment


def sources_of(package: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}


def metadata_of(built: Built) -> email.message.Message:
    with zipfile.ZipFile(built.wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def pins_of(path: pathlib.Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_index_would_take_the_distributions(built: Built) -> None:
    out = run(sys.executable, "-m", "twine", "check", "--strict", *built, cwd=ROOT)
    assert out.count("PASSED") == 2


def test_the_wheel_holds_the_package_and_the_jobs(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {"beam_s3box/py.typed"} | sources_of("beam_s3box")


def test_the_sdist_holds_its_documents_and_no_tests(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    documents = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")}
    rest = {"CHANGELOG.md", "LICENSE", "README.md", "setup.py", "pyproject.toml", EMBEDDED.name, "requirements.txt"}
    assert documents | rest <= names
    assert {name.partition("/")[0] for name in names if "/" in name} <= {
        "beam_s3box",
        "beam_s3box.egg-info",
        "docs",
    }


def test_the_metadata(built: Built) -> None:
    found = metadata_of(built)
    assert (found["Name"], found["Version"]) == ("beam_s3box", beam_s3box.__version__)
    assert found["Requires-Python"] == ">=3.11"
    assert found["Description-Content-Type"] == "text/markdown"
    assert str(found.get_payload()).strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    classifiers = set(found.get_all("Classifier", []))
    assert {f"Programming Language :: Python :: {version}" for version in PYTHONS} <= classifiers
    assert set(found.get_all("Provides-Extra", [])) == {"kafka", "metrics", "redshift"}
    assert "redshift" in found["Keywords"]


def test_the_pins_without_beam_are_those_with_it() -> None:
    pins = pins_of(EMBEDDED)
    assert {"boto3", "msgspec", "orjson", "zlib-ng"} <= set(pins)
    assert pins.items() <= pins_of(ROOT / "requirements.txt").items()


def test_only_beam_is_missing(embedded: Environment) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", embedded.python)
    done = subprocess.run([*map(str, pip), "check"], capture_output=True, text=True, check=False)
    [line] = done.stdout.splitlines()
    assert re.fullmatch(r"beam[-_]s3box \S+ requires apache-beam, which is not installed\.", line)


def test_it_is_small(embedded: Environment, note: Callable[[str], None]) -> None:
    size = sum(path.stat().st_size for path in embedded.packages.rglob("*") if path.is_file())
    note(f"installed without Beam, {embedded.packages.parent.name}: {size / 1e6:.0f} MB")
    assert size < MAX_EMBEDDED_BYTES


def test_the_commands_answer(embedded: Environment, tmp_path: pathlib.Path) -> None:
    names = [name for name in beam_s3box.__all__ if name not in NEED_BEAM]
    run(embedded.python, "-c", f"from beam_s3box import {', '.join(names)}", cwd=tmp_path)
    command = embedded.python.with_name("s3box")
    assert run(command, "--help", cwd=tmp_path).startswith("usage: s3box COMMAND")
    for name in COMMANDS:
        assert run(command, name, "--help", cwd=tmp_path).startswith(f"usage: s3box {name} ")
    assert run(command, "--version", cwd=tmp_path) == VERSION
    for job in ("backfill", "stream"):
        assert run(command, job, "--version", cwd=tmp_path) == VERSION


@pytest.mark.parametrize("form", ["json-lines", "avro"])
def test_pack_writes_a_folder(embedded: Environment, tmp_path: pathlib.Path, form: str) -> None:
    lines = "".join(f'{{"i":{i}}}\n' for i in range(100))
    options = ["--domain=d", "--namespace=n", f"--format={form}"]
    if form == "avro":
        (tmp_path / "r.avsc").write_text('{"type":"record","name":"r","fields":[{"name":"i","type":"long"}]}')
        options.append("--avro_schema=r.avsc")
    run(embedded.python, "-m", "beam_s3box", "pack", "out", *options, cwd=tmp_path, input=lines)
    [manifest] = (tmp_path / "out" / "manifests").rglob("*.manifest")
    [entry] = json.loads(manifest.read_bytes())["entries"]
    assert entry["meta"]["record_count"] == 100
    assert pathlib.Path(entry["url"].removeprefix("file://")).stat().st_size == entry["meta"]["content_length"]


_ON_S3 = """
import sys
from beam_s3box import JsonBufferStreamer, S3Box, S3Settings, S3Uploader

bucket, prefix, endpoint_url, region = sys.argv[1:]
s3 = S3Settings(endpoint_url=endpoint_url, region=region)
with S3Box(f"s3://{bucket}/{prefix}/box", s3=s3) as box:
    box.pack_many({"i": i} for i in range(100))
print(*box.create_manifests("all", 1))
with JsonBufferStreamer(S3Uploader(bucket=bucket, prefix=f"{prefix}/streamer", s3=s3), "buffers") as streamer:
    streamer.open("web", "clicks", size_limit=100_000, time_limit=60)
    streamer.append("web", "clicks", {"page": "/"})
print(sorted({"apache_beam", "numpy", "pyarrow"} & set(sys.modules)))
"""


def test_a_box_and_a_streamer_reach_s3(embedded: Environment, tmp_path: pathlib.Path, s3_server: Server) -> None:
    settings = beam_s3box.S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    prefix = f"embedded-{embedded.packages.parent.name}"
    writer = {"AWS_ACCESS_KEY_ID": s3_server.writer.access_key, "AWS_SECRET_ACCESS_KEY": s3_server.writer.secret_key}
    arguments = (s3_server.bucket, prefix, s3_server.endpoint_url, REGION)
    out = run(embedded.python, "-c", _ON_S3, *arguments, cwd=tmp_path, env={"PATH": os.environ["PATH"], **writer})
    assert out == "all_0.manifest\n[]\n"
    keys = [info.key for info in open_store(f"s3://{s3_server.bucket}/{prefix}", settings, s3_server.admin).list()]
    assert "box/all_0.manifest" in keys
    assert [len([key for key in keys if key.startswith(start)]) for start in ("box/data/", "streamer/data/")] == [1, 1]


@pytest.mark.parametrize("has_init", [False, True], ids=["folder", "package"])
@pytest.mark.parametrize("name", ["mine", "options", "backfill"])
def test_a_users_own_folder_pipelines_is_found_first(
    with_beam: Environment, tmp_path: pathlib.Path, has_init: bool, name: str
) -> None:
    """Also where its modules are named as the jobs' are."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "shared.py").write_text("ANSWER = 42\n")
    (folder / f"{name}.py").write_text("from pipelines.shared import ANSWER\nimport beam_s3box\nprint(ANSWER)\n")
    if has_init:
        (folder / "__init__.py").touch()
    assert run(with_beam.python, "-m", f"pipelines.{name}", cwd=tmp_path) == "42\n"
    (tmp_path / "script.py").write_text(f"import pipelines.{name}\n")
    assert run(with_beam.python, "script.py", cwd=tmp_path) == "42\n"
    run(with_beam.python, "-m", "beam_s3box", "--help", cwd=tmp_path)


def test_the_jobs_start_next_to_a_folder_pipelines(with_beam: Environment, tmp_path: pathlib.Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "mine.py").touch()
    assert "usage: s3box backfill" in run(with_beam.python, "-m", "beam_s3box", "backfill", "--help", cwd=tmp_path)


def seconds_to_import(python: pathlib.Path, cwd: pathlib.Path) -> float:
    """Return what `import beam_s3box` takes, and check that it loads the standard library only."""
    command = [str(python), "-X", "importtime", "-c", "import beam_s3box"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    rows = re.findall(r"import time:\s+\d+ \|\s+(\d+) \|\s+([\w.]+)", done.stderr)
    loaded = {name for _, name in rows}
    ours = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert ours - {"sitecustomize", "usercustomize"} == {"beam_s3box", "beam_s3box.system", "beam_s3box.system.lazy"}
    return {name: int(microseconds) / 1e6 for microseconds, name in rows}["beam_s3box"]


def test_the_import_is_light(with_beam: Environment, tmp_path: pathlib.Path, note: Callable[[str], None]) -> None:
    """The best of many tries: what else the machine does makes an import slow, but never fast."""
    best = min(seconds_to_import(with_beam.python, tmp_path) for _ in range(10))
    note(f"import beam_s3box: {best * 1e3:.0f} ms")
    assert best < MAX_IMPORT_SECONDS


def test_dir_lists_the_public_names() -> None:
    assert [name for name in dir(beam_s3box) if not name.startswith("_")] == list(beam_s3box.__all__)
    assert "__version__" in dir(beam_s3box)


_USERS_FILE = """
from apache_beam.pvalue import PCollection

from beam_s3box import CopyToRedshiftResult, LoadFailure, LoadResult, WriteToS3Box, WriteToS3BoxResult
from beam_s3box import DeadLetter, Manifest, S3Box, ShardFile


def shards(records: PCollection[bytes]) -> PCollection[ShardFile]:
    result: WriteToS3BoxResult = records | WriteToS3Box("s3://b/p", domain="web", namespace="clicks")
    return result.shards


def manifests(result: WriteToS3BoxResult) -> PCollection[Manifest]:
    return result.manifests


def dead_letters(result: WriteToS3BoxResult) -> PCollection[DeadLetter]:
    return result.dead_letters


def loads(result: CopyToRedshiftResult) -> PCollection[LoadResult]:
    return result.loads


def failures(result: CopyToRedshiftResult) -> PCollection[LoadFailure]:
    return result.failures


def pack(box: S3Box) -> list[str]:
    box.pack({"page": "/"})
    return box.create_manifests("all", 1)
"""
_WRONG = """

def wrong(result: WriteToS3BoxResult) -> PCollection[ShardFile]:
    return result.manifests
"""


def mypy(environment: Environment, *arguments: str | pathlib.Path, cwd: pathlib.Path) -> str:
    options = ("--strict", "--python-executable", environment.python, "--cache-dir", cwd / "cache")
    command = [sys.executable, "-m", "mypy", *options, *arguments]
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_users_file_sees_the_types_of_the_results(with_beam: Environment, tmp_path: pathlib.Path) -> None:
    (tmp_path / "right.py").write_text(_USERS_FILE)
    (tmp_path / "wrong.py").write_text(_USERS_FILE + _WRONG)
    found = mypy(with_beam, "right.py", "wrong.py", cwd=tmp_path)
    assert "Found 1 error in 1 file (checked 2 source files)" in found, found
    assert "wrong.py" in found
    assert 'got "PCollection[Manifest]", expected "PCollection[ShardFile]"' in found


def test_the_examples_are_typed(with_beam: Environment, tmp_path: pathlib.Path) -> None:
    """Those of the folder and those of the documents; Beam is skipped, as it is for the package."""
    examples = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").rglob("*.py"))]
    examples += re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert examples
    names = [f"example_{number}.py" for number in range(len(examples))]
    for name, text in zip(names, examples, strict=True):
        (tmp_path / name).write_text(text)
    found = mypy(with_beam, "--config-file", ROOT / "pyproject.toml", *names, cwd=tmp_path)
    assert found == f"Success: no issues found in {len(names)} source files\n"
