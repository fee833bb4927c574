"""The backfill in an environment made from requirements.txt alone: what pandas and other extras do is not there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from beam_s3box.stores.local import LocalStore
from tests.readback import read_back

ROOT = pathlib.Path(__file__).parents[4]
REQUIREMENTS = ROOT / "requirements.txt"


class PlainRun(NamedTuple):
    """A backfill that ended.

    Attributes:
      code: that it exited with; negative for a signal.
      error: what it printed to stderr.
      records: that its manifests list.
      dead_letters: that it wrote.
    """

    code: int
    error: str
    records: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]


@pytest.fixture(scope="session")
def plain_python() -> str:
    """The Python of the environment, which is made once for each version of the requirements."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = (
        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "beam_s3box" / f"plain-{digest}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    python, ready = folder / "bin" / "python", folder / "ready"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            install = [
                str(python),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
                str(REQUIREMENTS),
            ]
            subprocess.run(install, check=True)
            ready.touch()
    return str(python)


@pytest.fixture(scope="session")
def plain_backfill(
    plain_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, tuple[str, ...]]], dict[str, PlainRun]]:
    """Run backfills of files, each in a process of its own: options by name."""

    def run(jobs: dict[str, tuple[str, ...]]) -> dict[str, PlainRun]:
        folder = tmp_path_factory.mktemp("plain")
        orders = {
            name: [*options, f"--output={folder / name}", "--domain=d", "--namespace=n"]
            for name, options in jobs.items()
        }
        done = subprocess.run(
            [plain_python, pathlib.Path(__file__).with_name("run_each.py")],
            input=json.dumps(orders),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=600,
            check=True,
        )
        return {name: _ended(folder / name, **ended) for name, ended in json.loads(done.stdout).items()}

    return run


def _ended(folder: pathlib.Path, code: int, error: str) -> PlainRun:
    if code:
        return PlainRun(code, error, [], [])
    found = read_back(LocalStore(str(folder)))
    return PlainRun(code, error, found.all_records(), found.dead_letters)
