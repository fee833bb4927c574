"""Exits, signals, forks, threads that don't start and BaseExceptions: uploads continue, everything is reported."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import ctypes
import errno
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import FolderInUseError, ObjectExistsError, TransientStoreError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.streamer import (
    JsonBufferStreamer,
    StoreUploader,
    StreamerClosedError,
    StreamerError,
    UploadsFailedError,
)
from beam_s3box.streamer.journal import Journal
from beam_s3box.testing import FailingStore
from tests.pages import Page
from tests.readback import read_back

Make = Callable[..., JsonBufferStreamer]
ROOT = pathlib.Path(__file__).parents[2]
REDSHIFT: dict[str, Any] = {"format": "json-lines", "compression": "gzip"}


def fill(streamer: JsonBufferStreamer, first: int, count: int = 1) -> None:
    streamer.open("web", "a", size_limit=10_000)
    for i in range(first, first + count):
        streamer.append("web", "a", {"i": i})


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_no_exception_fails_the_attempt_and_ends_no_thread(
    make: Make, kept: Any, reported: list[Any], error: BaseException
) -> None:
    events: list[Any] = []

    def notify(event: Any) -> None:
        events.append(event)
        raise error

    kept.error = error
    streamer = make(on_upload=notify, upload_threads=1)
    fill(streamer, 0)
    with pytest.raises(UploadsFailedError, match=f"the uploader raised {type(error).__name__}"):
        streamer.flush(30)
    kept.error = None
    streamer.flush(30)
    assert kept.records() == [{"i": 0}]
    assert [event.succeeded for event in events] == [False, True]
    assert events[0].error.__cause__ is error
    assert [str(one).startswith("on_upload raised") for one in reported] == [True, True]
    assert streamer.stats.callback_errors == 2
    assert streamer.shut_down(30) == ()


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_thread_that_ends_is_replaced(make: Make, kept: Any, restarts: int, reported: list[Any]) -> None:
    """Here an exception that another thread sets ends it: its upload goes to its successor."""
    streamer = make(upload_threads=1)
    for i in range(restarts):
        fill(streamer, i)
        streamer.flush(30)
        (thread,) = streamer._uploads._threads
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    fill(streamer, restarts)
    streamer.flush(30)
    assert sorted(record["i"] for record in kept.records()) == list(range(restarts + 1))
    assert streamer.shut_down(30) == ()


@pytest.mark.parametrize("refusals", [1, 3, 1_000])
def test_a_thread_that_does_not_start_stops_nothing(
    make: Make, kept: Any, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    real, left = _thread.start_new_thread, [refusals]

    def start(function: Any, arguments: Any) -> int:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("can't start new thread")
        return real(function, arguments)

    monkeypatch.setattr(_thread, "start_new_thread", start)
    streamer = make()
    streamer.open("web", "a", size_limit=10)
    for i in range(5):
        streamer.append("web", "a", {"i": i})
    streamer.flush(30)
    assert sorted(record["i"] for record in kept.records()) == list(range(5))
    assert max(map(kept.tried.count, kept.tried)) == 1
    assert streamer.shut_down(30) == ()


def test_what_a_signal_handler_raises_while_a_thread_starts_is_what_the_caller_gets(
    make: Make, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _thread.start_new_thread

    def start(function: Any, arguments: Any) -> int:
        started = real(function, arguments)
        if threading.get_ident() == threading.main_thread().ident:
            time.sleep(0.05)  # the new thread gets far enough to be known
            raise TimeLimitError
        return started

    streamer = make()
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    with monkeypatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", start)
        patch.setattr(threading, "_start_new_thread", start)
        with pytest.raises(TimeLimitError):
            streamer.flush(30)
    streamer.append("web", "a", {"i": 1})
    streamer.flush(30)
    assert sorted(record["i"] for record in kept.records()) == [0, 1]
    assert streamer.shut_down(30) == ()


class TimeLimitError(Exception):
    pass


def test_without_a_scheduler_thread_the_folder_is_free(
    make: Make, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", lambda *_: (_ for _ in ()).throw(RuntimeError("can't start")))
        with pytest.raises(StreamerError, match="the scheduler has no thread: can't start"):
            make(scheduler_interval=5)
    make(scheduler_interval=5)


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


@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_a_buffer_whose_seal_failed_takes_no_more(
    make: Make, kept: Any, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, durability: str
) -> None:
    streamer = make(durability=durability)
    fill(streamer, 0, 3)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        with pytest.raises(UploadsFailedError, match="Input/output error"):
            streamer.flush()
        (path,) = folder.glob("*.open")
        before = path.read_bytes()
        with pytest.raises(StreamerError, match="Input/output error"):
            streamer.append("web", "a", {"i": "refused"})
        assert path.read_bytes() == before
    fill(streamer, 3, 3)
    streamer.flush()
    assert sorted([record["i"] for record in json.loads(body)] for body in kept.bodies) == [[0, 1, 2], [3, 4, 5]]


def test_a_second_sync_after_a_failed_one_is_not_believed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "x.open", b"{}", "fsync")
    journal.write(b'{"i":0}')
    asked: list[int] = []

    def fsync(handle: int) -> None:
        asked.append(handle)
        if len(asked) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(3):
        with pytest.raises(StreamerError, match=r"sync .* failed"):
            journal.sync(journal.size)
    assert len(asked) == 1
    journal.close()


def test_no_upload_begins_after_a_shut_down_that_gave_up_waiting(make: Make, kept: Any, folder: pathlib.Path) -> None:
    streamer = make(upload_threads=1)
    streamer.open("web", "a", size_limit=10)
    kept.gate.clear()
    for i in range(2):
        streamer.append("web", "a", {"i": i, "pad": "xxxxxxxxxx"})
    assert kept.begun.acquire(timeout=60)
    assert len(streamer.shut_down(timeout=0.01)) == 2
    kept.gate.set()
    for thread in threading.enumerate():
        if thread.name == "beam_s3box upload":
            thread.join(60)
    assert len(kept.tried) == streamer.stats.uploaded_files == 1
    again = make()
    again.flush()
    assert [record["i"] for record in kept.records()] == [0, 1]
    assert len(kept.tried) == 2


def test_the_upload_replaces_nothing(make: Make) -> None:
    store = MemoryStore(new_token(12))
    seen: list[Any] = []
    uploader = StoreUploader(store)

    def upload(file: Any) -> None:
        if not seen:
            store.put(uploader.key(file), b"other", sha256="", content_type="text/plain")
            seen.append(file)
        uploader.upload(file)

    streamer = make(upload)
    fill(streamer, 0)
    with pytest.raises(UploadsFailedError, match=ObjectExistsError.__name__):
        streamer.flush()
    assert store.get(uploader.key(seen[0])) == b"other"
    store.delete(uploader.key(seen[0]))
    streamer.flush()


def test_a_running_upload_is_not_queued_again(make: Make, kept: Any, clock: Any) -> None:
    streamer = make(upload_threads=2)
    for namespace in "abc":
        streamer.open("web", namespace)
    streamer.append("web", "a", {"i": 0})
    kept.gate.clear()
    with pytest.raises(UploadsFailedError, match="not finished in time"):
        streamer.flush(timeout=0)
    assert kept.begun.acquire(timeout=60)
    for _ in range(3):
        clock.now += 1_000
        streamer.run_scheduled()
    # whatever waits for a thread is taken in its turn, before this
    streamer.append("web", "b", {"i": 1})
    with pytest.raises(UploadsFailedError, match="not finished in time"):
        streamer.flush(timeout=0)
    assert kept.begun.acquire(timeout=60)
    assert len(kept.tried) == len(set(kept.tried)) == 2
    kept.error, kept.failing = OSError("no network"), {"a"}
    kept.gate.set()
    pause = threading.Event()
    while not any(file.attempts for file in streamer.stats.pending):
        pause.wait(0.001)
    streamer.append("web", "c", {"i": 2})
    streamer.close("web", "c")
    assert len(kept.tried) == 3, "the one that failed waits for its time"


def test_what_is_synced_and_in_which_order(
    make: Make, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any]
) -> None:
    steps: list[str] = []
    reals = {name: getattr(os, name) for name in ("rename", "unlink")}

    def state(path: Any) -> str:
        return "folder" if str(path) == str(folder) else str(path).partition(".")[2]

    monkeypatch.setattr(
        os, "fsync", lambda handle: steps.append("sync " + state(os.readlink(f"/proc/self/fd/{handle}")))
    )

    def rename(source: Any, target: Any) -> None:
        reals["rename"](source, target)
        steps.append(f"{state(source)} to {state(target)}")

    monkeypatch.setattr(os, "rename", rename)

    def unlink(path: Any) -> None:
        reals["unlink"](path)
        steps.append(f"remove {state(path)}")

    monkeypatch.setattr(os, "unlink", unlink)
    streamer = make(**stored, durability="fsync")
    fill(streamer, 0)
    streamer.flush()
    streamer.write_manifests()
    assert steps == [
        "sync folder", "sync open", "sync open", "open to sealed",
        "sync json.gz", "sync part", "part to ready", "sync folder", "remove sealed",
        "ready to uploaded", "sync folder", "remove json.gz",
        "sync part", "part to listing", "sync folder", "remove uploaded", "sync folder", "remove listing",
    ]  # fmt: skip


def test_a_hook_is_called_outside_of_locks(
    make: Make, kept: Any, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path
) -> None:
    """Otherwise a hook that logs through the streamer itself would deadlock."""
    streamer = make()
    streamer.open("web", "a", size_limit=40)
    hooked: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def hook(arguments: Any) -> None:
        monkeypatch.setattr(os, "rename", real)
        streamer.append("web", "a", {"hook": str(arguments.exc_value)[:4]})
        hooked.put(streamer.stats)

    real = os.rename
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    monkeypatch.setattr(threading, "excepthook", hook)
    thread = threading.Thread(target=streamer.append, args=("web", "a", {"pad": "x" * 50}), daemon=True)
    thread.start()
    assert hooked.get(timeout=60).records == 2
    thread.join(60)
    streamer.flush()
    assert sorted(map(str, kept.records())) == ["{'hook': 'seal'}", f"{{'pad': '{'x' * 50}'}}"]


def test_stats_never_raise(make: Make, stored: dict[str, Any]) -> None:
    streamer = make(**stored)
    streamer.open("web", "a", size_limit=40)
    errors: list[BaseException] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                streamer.stats  # noqa: B018
            except BaseException as exc:  # noqa: BLE001 - it is what must not come
                errors.append(exc)

    thread = threading.Thread(target=ask)
    thread.start()
    for i in range(60):
        streamer.append("web", "a", {"i": i, "pad": "x" * 30})
        streamer.flush()
        streamer.write_manifests()
    ended.set()
    thread.join()
    assert errors == []
    assert streamer.stats.unlisted_files == 0


def test_other_formats_are_uploaded_and_not_listed(make: Make, reported: list[Any]) -> None:
    store = MemoryStore(new_token(12))
    first = make(StoreUploader(FailingStore(store, "data/*", succeed=0, fail=100, when="before")))
    fill(first, 0, 2)
    first.append("web", "a", {"x": "nul \0"})
    first.shut_down()
    assert reported == []
    second = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    assert "1 files that a streamer with other settings left" in str(reported[0])
    assert "format='json-array'" in str(reported[0])
    fill(second, 2, 2)
    second.flush()
    assert [manifest.records for manifest in second.write_manifests()] == [2]
    assert len(read_back(store).unlisted) == 1
    assert second.stats.unlisted_files == 0


@pytest.mark.parametrize("when", ["uploaded", "listed"])
def test_what_is_in_another_bucket_is_kept_for_a_streamer_of_that_bucket(
    make: Make, reported: list[Any], when: str
) -> None:
    one, other = MemoryStore(new_token(12)), MemoryStore(new_token(12))
    failing = FailingStore(one, "manifests/*", succeed=0, fail=1, when="before")
    first = make(StoreUploader(failing), manifests=Manifests(), **REDSHIFT)
    fill(first, 0, 3)
    first.flush()
    if when == "listed":
        with pytest.raises(TransientStoreError):
            first.write_manifests()
    first.shut_down()
    second = make(StoreUploader(other), manifests=Manifests(), **REDSHIFT)
    assert f"uploaded to {one.root}/data/web/a/" in str(reported[0])
    fill(second, 3, 1)
    second.flush()
    assert [manifest.records for manifest in second.write_manifests()] == [1]
    second.shut_down()
    third = make(StoreUploader(one), manifests=Manifests(), **REDSHIFT)
    assert sum(manifest.records for manifest in third.write_manifests()) == 3
    for store, records in ((one, [0, 1, 2]), (other, [3])):
        found = read_back(store)
        assert sorted(record["i"] for record in found.all_records()) == records
        assert found.unlisted == []
    assert len(reported) == 1


def test_a_file_that_goes_to_another_bucket_is_listed_there(make: Make, reported: list[Any]) -> None:
    one, other = MemoryStore(new_token(12)), MemoryStore(new_token(12))
    failing = FailingStore(one, "data/*", succeed=0, fail=9, when="before")
    first = make(StoreUploader(failing), manifests=Manifests(), **REDSHIFT)
    fill(first, 0, 3)
    assert len(first.shut_down()) == 1
    second = make(StoreUploader(other), manifests=Manifests(), **REDSHIFT)
    second.flush()
    second.write_manifests()
    assert len(list(read_back(other).all_records())) == 3
    assert reported == []


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
