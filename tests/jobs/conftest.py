"""What the tests of the jobs share: files of records, and the job in this process or in one of its own."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[2]


class Ended(NamedTuple):
    """A job that ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def problems(self) -> str:
        """The errors without the warnings of dead letters, which the records below cause."""
        return "".join(line for line in self.err.splitlines(True) if "WARNING dead letters of run" not in line)


@pytest.fixture
def records(tmp_path: pathlib.Path) -> str:
    """The path of 60 records of four streams, and one line that is no record."""
    lines = [json.dumps({"d": "web" if i % 2 else "app", "n": f"e{i % 4}", "i": i}) for i in range(60)]
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join([*lines, "no record"]) + "\n")
    return str(path)


@pytest.fixture
def backfill(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The job, run in this process."""

    def run(*arguments: str) -> Ended:
        from beam_s3box.cli.main import main

        begun = time.monotonic()
        code = main(["backfill", *arguments])
        return Ended(code, *capfd.readouterr(), time.monotonic() - begun)

    return run


@pytest.fixture
def backfill_process() -> Callable[..., Ended]:
    """The job, run as its users run it."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> Ended:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.backfill", *arguments],
            cwd=ROOT,
            env={**clean, "AWS_EC2_METADATA_DISABLED": "true", **(env or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)

    return run
