"""Uploads that fail, wait or never end: appends continue, everything is reported, nothing is lost."""

from __future__ import annotations

import _thread
import contextlib
import errno
import hashlib
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box.errors import ObjectExistsError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.streamer import (
    BufferFile,
    JsonBufferStreamer,
    StoreUploader,
    StreamerError,
    UploadEvent,
    UploadsFailedError,
)

Make = Callable[..., JsonBufferStreamer]


@contextlib.contextmanager
def closed_gate(kept: Any) -> Iterator[None]:
    kept.gate.clear()
    try:
        yield
    finally:
        kept.gate.set()


def test_an_upload_blocks_no_append_not_even_to_its_own_stream(make: Make, kept: Any) -> None:
    streamer = make(upload_threads=1)
    for namespace in "ab":
        streamer.open("web", namespace, size_limit=60)
    with closed_gate(kept):
        streamer.append("web", "a", {"i": 0, "pad": "x" * 60})
        assert kept.begun.acquire(timeout=60), "the only upload thread is busy now"
        for i in range(1, 100):
            streamer.append("web", "ab"[i % 2], {"i": i})
        assert kept.bodies == []
    streamer.flush()
    assert sorted(record["i"] for record in kept.records()) == list(range(100))


def test_an_object_that_another_program_wrote_is_not_replaced(make: Make, folder: pathlib.Path) -> None:
    class Taken(MemoryStore):
        """Somebody is always a little earlier, and writes something else."""

        def put(self, key: str, body: bytes, **arguments: Any) -> int:
            if key.startswith("data/"):
                with contextlib.suppress(ObjectExistsError):
                    super().put(key, b"theirs", sha256=hashlib.sha256(b"theirs").hexdigest(), content_type="text/plain")
            return super().put(key, body, **arguments)

    store = Taken(new_token(12))
    streamer = make(StoreUploader(store))
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    with pytest.raises(UploadsFailedError, match="ObjectExistsError"):
        streamer.flush()
    assert [store.get(info.key) for info in store.list("data/")] == [b"theirs"]
    assert [path.suffix for path in folder.iterdir() if path.name != "lock"] != []


def test_a_file_that_another_program_cut_is_not_uploaded(make: Make, tmp_path: pathlib.Path) -> None:
    store, cut = MemoryStore(new_token(12)), tmp_path / "cut.json"
    uploader = StoreUploader(store)

    def upload(file: BufferFile) -> None:
        cut.write_bytes(file.path.read_bytes()[:-1])
        with pytest.raises(StreamerError, match="another program changed it"):
            uploader.upload(file._replace(path=cut))
        assert list(store.list("data/")) == []
        uploader.upload(file)

    streamer = make(upload)
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    streamer.flush()
    assert len(list(store.list("data/"))) == 1


def test_flush_tries_all_and_names_every_stream_that_failed(make: Make, kept: Any, folder: pathlib.Path) -> None:
    streamer = make()
    for namespace in "abc":
        streamer.open("web", namespace)
        streamer.append("web", namespace, {"n": namespace})
    kept.error, kept.failing = OSError("no network"), {"a", "c"}
    with pytest.raises(UploadsFailedError) as caught:
        streamer.flush()
    assert str(caught.value) == (
        "not uploaded: 2 files of 2 streams. web/a: 1 file (OSError: no network); "
        f"web/c: 1 file (OSError: no network). They stay in {folder}"
    )
    assert {(file.namespace, file.attempts) for file in caught.value.files} == {("a", 1), ("c", 1)}
    assert kept.records() == [{"n": "b"}]
    kept.error = None
    streamer.flush()
    assert sorted(record["n"] for record in kept.records()) == ["a", "b", "c"]


def test_flush_gives_up_waiting(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    with closed_gate(kept), pytest.raises(UploadsFailedError, match=r"web/a: 1 file \(not finished in time\)"):
        streamer.flush(timeout=0.01)
    streamer.flush()
    assert kept.records() == [{"i": 0}]


def test_a_close_that_fails_closes_and_keeps(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    kept.error = OSError("no network")
    with pytest.raises(UploadsFailedError, match="web/a"):
        streamer.close("web", "a")
    assert streamer.stats.open_streams == 0
    kept.error = None
    streamer.flush()
    assert kept.records() == [{"i": 0}]


def test_failed_files_are_tried_again_for_ever_with_backoff(make: Make, kept: Any, clock: Any) -> None:
    events: list[UploadEvent] = []
    streamer = make(on_upload=events.append)
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    kept.error = OSError("no network")
    with pytest.raises(UploadsFailedError):
        streamer.flush()
    for wait in (10, 20, 40, 80, 100, 100, 100):
        clock.now += wait - 1
        before = len(events)
        while kept.begun.acquire(blocking=False):
            pass
        streamer.run_scheduled()
        assert not kept.begun.acquire(timeout=0.05), "not yet"
        clock.now += 1
        streamer.run_scheduled()
        wait_for_attempts(streamer, before + 1)
    assert [event.attempts for event in events] == list(range(1, 9))
    assert not any(event.succeeded for event in events)
    (pending,) = streamer.stats.pending
    assert (pending.namespace, pending.attempts, pending.error) == ("a", 8, "OSError: no network")
    kept.error = None
    clock.now += 100
    streamer.run_scheduled()
    streamer.flush()
    assert events[-1].succeeded
    assert kept.records() == [{"i": 0}]
    assert len({event.file_name for event in events} | set(kept.tried)) == 1


def wait_for_attempts(streamer: JsonBufferStreamer, attempts: int) -> None:
    """Wait until this many attempts have failed, and the last one is recorded."""
    done = threading.Event()
    while not done.wait(0.001):
        if streamer.stats.failed_attempts == attempts and streamer.stats.pending[0].attempts == attempts:
            done.set()


@pytest.mark.parametrize("answer", [False, "awaitable"])
def test_an_answer_that_means_failure_is_one(make: Make, answer: Any) -> None:
    async def later() -> None:
        """Do nothing."""

    streamer = make(lambda file: later() if answer == "awaitable" else False)
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    with pytest.raises(UploadsFailedError, match="the uploader returned"):
        streamer.flush()
    assert len(streamer.stats.pending) == 1


def test_on_upload_is_told_success_and_failure(make: Make, kept: Any) -> None:
    events: list[UploadEvent] = []
    streamer = make(on_upload=events.append)
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    kept.error = OSError("no network")
    with pytest.raises(UploadsFailedError):
        streamer.flush()
    kept.error = None
    streamer.flush()
    failure, success = events
    assert (failure.succeeded, failure.error, failure.attempts) == (False, failure.error, 1)
    assert str(failure.error) == "no network"
    assert (success.succeeded, success.error, success.attempts) == (True, None, 2)
    assert success.file == failure.file == kept.files[0]


def test_an_exception_in_on_upload_is_reported_and_stops_nothing(make: Make, kept: Any, reported: list[Any]) -> None:
    def notify(event: UploadEvent) -> None:
        raise KeyError("mine")

    streamer = make(on_upload=notify)
    streamer.open("web", "a")
    for i in range(2):
        streamer.append("web", "a", {"i": i})
        streamer.flush()
    assert kept.records() == [{"i": 0}, {"i": 1}]
    assert [repr(error) for error in reported] == ["KeyError('mine')"] * 2
    assert streamer.stats.callback_errors == 2


@pytest.mark.parametrize("threads", [True, False])
def test_on_upload_may_append_and_not_wait(
    make: Make, kept: Any, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    caught: list[str] = []
    if not threads:
        monkeypatch.setattr(_thread, "start_new_thread", lambda *_: (_ for _ in ()).throw(RuntimeError("no thread")))

    def notify(event: UploadEvent) -> None:
        if len(caught) < 3:
            streamer.append("web", "a", {"i": 1})
            for wait in (streamer.flush, streamer.shut_down, lambda: streamer.close("web", "a")):
                with pytest.raises(StreamerError, match="on another thread") as error:
                    wait()
                caught.append(str(error.value))

    streamer = make(on_upload=notify)
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    streamer.flush()
    streamer.flush()
    assert len(caught) == 3
    assert kept.records() == [{"i": 0}, {"i": 1}]


def test_shut_down_says_what_remains_and_the_next_one_uploads_it(make: Make, kept: Any, folder: pathlib.Path) -> None:
    streamer = make()
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    kept.error = OSError("no network")
    (remaining,) = streamer.shut_down()
    assert (remaining.domain, remaining.namespace, remaining.error) == ("web", "a", "OSError: no network")
    assert streamer.shut_down() == (remaining,), "twice is harmless"
    kept.error = None
    make().flush()
    assert kept.records() == [{"i": 0}]
    assert kept.tried == [remaining.file_name] * 2, "the same name, so the same key"


def test_shut_down_with_a_timeout_keeps_the_folder_until_the_upload_ends(make: Make, kept: Any) -> None:
    streamer = make()
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    with closed_gate(kept):
        (remaining,) = streamer.shut_down(timeout=0.01)
        assert remaining.error == ""
        with pytest.raises(ValueError, match="is in use"):
            make()
    again = None
    waited = threading.Event()
    while again is None and not waited.wait(0.001):
        with contextlib.suppress(ValueError):
            again = make()
    assert again is not None
    again.flush()
    assert kept.records() == [{"i": 0}]


def test_leaving_a_with_names_what_remains_but_masks_no_error(make: Make, kept: Any) -> None:
    kept.error = OSError("no network")

    def use(error: Exception | None) -> None:
        with make() as streamer:
            streamer.open("web", "a")
            streamer.append("web", "a", {"i": 0})
            if error:
                raise error

    with pytest.raises(UploadsFailedError, match="web/a"):
        use(None)
    with pytest.raises(ZeroDivisionError):
        use(ZeroDivisionError())


def test_a_scheduled_look_that_fails_is_reported_and_the_next_comes(
    make: Make, clock: Any, kept: Any, monkeypatch: pytest.MonkeyPatch, reported: list[Any]
) -> None:
    streamer = make(scheduler_interval=0.005)
    streamer.open("web", "a", time_limit=1)
    streamer.append("web", "a", {"i": 0})
    real, failing = os.rename, threading.Event()
    failing.set()

    def rename(source: Any, target: Any) -> None:
        if failing.is_set() and str(source).endswith(".open"):
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    clock.now += 2
    pause = threading.Event()
    while len(reported) < 2:
        pause.wait(0.001)
    assert "web/a: 1 file (StreamerError: seal" in str(reported[0])
    failing.clear()
    assert kept.begun.acquire(timeout=60)
    streamer.flush()
    assert kept.records() == [{"i": 0}]
