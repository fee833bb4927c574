"""The short streaming pipeline does what it says, on Prism."""

from __future__ import annotations

import subprocess
import sys

from tests.readback import read_back
from tests.runners.feed import ROOT
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.prism import Prism
from tools.seaweedfs import Server

EVENTS = 120


def test_each_window_has_manifests_of_its_own(prism: Prism, s3_server: Server) -> None:
    store = fresh_store(s3_server)
    command = [sys.executable, "-m", "pipelines.windowed_stream", f"--destination={store.root}", "--stop_after=12"]
    command += [*s3_arguments(s3_server), *prism.options(streaming=True)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    found = read_back(store)
    assert (found.unlisted, found.dead_letters) == ([], [])
    assert len(found.all_records()) == EVENTS
    assert {tuple(folder.split("/")[:2]) for folder in found.records} == {("shop", "click"), ("shop", "order")}
    windows = {folder.rpartition("/")[2] for folder in found.records}
    assert len(windows) >= 2
    assert len(found.manifests) == 2 * len(windows)
