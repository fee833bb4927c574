"""The end of a process, in order, by a signal or in a fork, and a shut-down while manifests are still being written."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import FolderInUseError
from beam_s3box.streamer import JsonBufferStreamer, StreamerClosedError
from tests.pages import Page
from tests.streamer.numbered_records import fill

Make = Callable[..., JsonBufferStreamer]
ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import atexit, signal, sys, threading, time
from beam_s3box.stores import LocalStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader
streamer = JsonBufferStreamer(StoreUploader(LocalStore(sys.argv[1])), sys.argv[2])
streamer.open("web", "a")
"""


@pytest.mark.parametrize(
    "end",
    [
        "streamer.append('web', 'a', {'i': 0})\natexit.register(streamer.shut_down)",
        "streamer.append('web', 'a', {'i': 0})\natexit.register(lambda: (streamer.flush(), streamer.close('web', 'a')))",
        "def later():\n  threading.main_thread().join()\n  streamer.append('web', 'a', {'i': 0})\n  streamer.shut_down()\n"
        "threading.Thread(target=later).start()",
    ],
)
def test_the_end_of_a_process_uploads(tmp_path: pathlib.Path, end: str) -> None:
    command = [sys.executable, "-c", PROGRAM + end, str(tmp_path / "objects"), str(tmp_path / "buffers")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = (tmp_path / "objects" / "data").rglob("*.json")
    assert json.loads(path.read_bytes()) == [{"i": 0}]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_documented_pattern_ends_in_order(tmp_path: pathlib.Path, number: signal.Signals) -> None:
    example = Page("docs/streamer.md").block("py", "import signal").text
    head = (
        "import sys, time\nfrom beam_s3box import JsonBufferStreamer\nfrom beam_s3box.stores import LocalStore\n"
        "from beam_s3box.streamer import StoreUploader\nuploader = StoreUploader(LocalStore(sys.argv[1]))\n"
        "def work(streamer):\n  streamer.open('web', 'a')\n  streamer.append('web', 'a', {'i': 0})\n"
        # not signal.pause(), which would wait for ever for a signal that came just before it
        "  print('ready', flush=True)\n  while True:\n    time.sleep(0.05)\n"
    )
    command = [sys.executable, "-c", head + example, str(tmp_path / "objects")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        job.send_signal(number)
        out, errors = job.communicate(timeout=180)
    assert job.returncode == 128 + number, errors
    assert "0 files remain" in out
    (path,) = (tmp_path / "objects" / "data").rglob("*.json")
    assert json.loads(path.read_bytes()) == [{"i": 0}]


def test_a_forked_process_that_leaves_a_with_ends_as_it_wants(make: Make) -> None:
    with make() as streamer:
        child = os.fork()
        if not child:
            status = 1
            try:
                with contextlib.suppress(SystemExit), streamer:
                    raise SystemExit(0)
                with contextlib.suppress(StreamerClosedError):
                    streamer.__exit__(None, None, None)
                    os._exit(2)
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_manifests_that_are_being_written_keep_the_folder(make: Make, stored: dict[str, Any]) -> None:
    streamer = make(**stored)
    fill(streamer, 0)
    streamer.flush()
    begun, go_on = threading.Event(), threading.Event()
    store = stored["uploader"].store
    put = store.put

    def slow(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return put(*args, **kwargs)

    store.put = slow
    thread = threading.Thread(target=streamer.write_manifests)
    thread.start()
    assert begun.wait(60)
    assert streamer.shut_down(timeout=60) == ()
    with pytest.raises(FolderInUseError):
        make(**stored)
    go_on.set()
    thread.join()
    make(**stored)
