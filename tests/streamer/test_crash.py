"""kill -9 at random moments, repeatedly on the same folder: each acknowledged record is in exactly one object."""

from __future__ import annotations

import collections
import gzip
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading

import pytest

from beam_s3box.stores import LocalStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader

KILLS = 10
"""For each of six folders: 60 in all."""
WRITER = pathlib.Path(__file__).with_name("crash_writer.py")
ROOT = WRITER.parents[2]


def run_until_killed(folder: pathlib.Path, store: pathlib.Path, first: int, kill_at: int, after: int) -> list[int]:
    """Return the acknowledged records; kill the writer after this many unless it does so itself."""
    command = [sys.executable, str(WRITER), str(folder), str(store), str(first), str(kill_at)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    watchdog = threading.Timer(300, process.kill)
    watchdog.start()
    assert process.stdout is not None
    acknowledged = []
    for line in process.stdout:
        if line.endswith("\n"):
            acknowledged.append(int(line))
        if not kill_at and len(acknowledged) == after:
            process.send_signal(signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    assert watchdog.is_alive()
    watchdog.cancel()
    watchdog.join()
    return acknowledged


@pytest.mark.parametrize("by", ["operation", "write", "record"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_acknowledged_record_is_in_exactly_one_object(tmp_path: pathlib.Path, seed: int, by: str) -> None:
    random_numbers = random.Random(seed)
    folder, objects = tmp_path / "buffers", tmp_path / "objects"
    acknowledged: list[int] = []
    for run in range(KILLS):
        kill_at = {"operation": 1, "write": -1, "record": 0}[by] * random_numbers.randint(3, 200)
        acknowledged += run_until_killed(folder, objects, run * 1_000_000, kill_at, random_numbers.randint(1, 2_000))
    store = LocalStore(objects)
    with JsonBufferStreamer(StoreUploader(store), folder, scheduler_interval=0) as streamer:
        streamer.flush()
        assert streamer.stats.damaged_files == 0
    found = collections.Counter(
        record["i"] for info in store.list("data/") for record in json.loads(gzip.decompress(store.get(info.key)))
    )
    assert len(acknowledged) > KILLS
    assert set(acknowledged) <= set(found), "acknowledged, and lost"
    assert max(found.values()) == 1, "uploaded twice"
    assert len(found) - len(acknowledged) <= 2 * KILLS, "more than was on its way in each thread when it was killed"
    assert os.listdir(folder) == ["lock"]
