"""The streaming job finds its files again, later: each record is in the same window, whatever its time."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

from beam_s3box.stores import LocalStore
from tests.readback import read_back
from tests.runners.feed import ROOT
from tools.prism import Prism

TIMES = {"untimed": None, "ahead": 100_000.0, "in_time": -1.0, "too_late": -100.0}
"""By stream: the records' time, in seconds from now."""

AGES = {"new": 0.0, "older_than_the_job": 10_000.0, "without_a_time": None}
"""By stream: the age of its file, in seconds; None for one that seems to be of 1970."""


def test_each_record_is_listed_once(prism: Prism, tmp_path: pathlib.Path) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    for name, at in TIMES.items():
        land(landing, name, None if at is None else time.time() + at)
    for name, age in AGES.items():
        path = land(landing, name, None)
        changed = 0.0 if age is None else time.time() - age
        os.utime(path, (changed, changed))
    arguments = [
        f"--input={landing}/*.jsonl",
        f"--destination={tmp_path / 'out'}",
        *("--domain=arrivals", "--namespace_field=n", "--timestamp_field=t", "--watermark_delay=5"),
        *("--window=fixed:2", "--max_seconds=1", "--poll_interval=0.5", "--min_age=0", "--stop_after=3"),
        *prism.options(streaming=True),
    ]
    command = [sys.executable, "-m", "tests.runners.gone_back", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4_000:]
    found = read_back(LocalStore(tmp_path / "out"))
    assert sorted(record["n"] for record in found.all_records()) == sorted([*TIMES, *AGES])
    assert found.unlisted, "nothing was done again: this shows nothing"


def land(landing: pathlib.Path, stream: str, at: float | None) -> pathlib.Path:
    path = landing / f"{stream}.jsonl"
    path.write_text(json.dumps({"n": stream, "t": at}) + "\n")
    return path
