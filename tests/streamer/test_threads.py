"""Threads that don't start or end early, and calls from other threads meanwhile: uploads continue, all is reported."""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import errno
import os
import pathlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.streamer import JsonBufferStreamer, StreamerError, UploadsFailedError
from tests.streamer.numbered_records import fill

Make = Callable[..., JsonBufferStreamer]


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
    ended, asked = threading.Event(), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                streamer.stats  # noqa: B018
            except BaseException as exc:  # noqa: BLE001 - it is what must not come
                errors.append(exc)
            asked.set()

    thread = threading.Thread(target=ask)
    thread.start()
    for i in range(60):
        streamer.append("web", "a", {"i": i, "pad": "x" * 30})
        streamer.flush()
        asked.clear()
        streamer.write_manifests()
        # the other thread does ask meanwhile
        assert asked.wait(60)
    ended.set()
    thread.join()
    assert errors == []
    assert streamer.stats.unlisted_files == 0
