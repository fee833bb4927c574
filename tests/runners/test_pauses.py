"""A bundle that pauses is split by Prism, and loses the state of what was given away: the write forbids it."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

from beam_s3box import S3Settings
from beam_s3box.stores import open_store
from tests.readback import read_back
from tests.runners.pauses import ROUNDS, records
from tools.prism import Prism

ROOT = pathlib.Path(__file__).parents[2]
START_SECONDS = 5


def test_bundles_that_pause_lose_nothing(prism: Prism, tmp_path: pathlib.Path) -> None:
    destination, calls, start = tmp_path / "out", tmp_path / "calls", int(time.time()) + START_SECONDS
    command = [sys.executable, "-m", "tests.runners.pauses", str(destination), str(calls), str(start)]
    done = subprocess.run(
        [*command, *prism.options(streaming=True)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert calls.stat().st_size == len(records(ROUNDS - 1))
    found = read_back(open_store(str(destination), S3Settings(), None))
    fed = {record["i"] for number in range(ROUNDS) for record in records(number)}
    assert len(found.all_records()) == len(fed)
    assert {record["i"] for record in found.all_records()} == fed
    assert found.unlisted == []
