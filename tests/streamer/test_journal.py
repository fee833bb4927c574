"""The buffer file: what is in it before `append` returns, and what a failed write leaves."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box.streamer import JsonBufferStreamer, StreamerError
from beam_s3box.streamer.journal import Journal
from tests.streamer.test_sweep_lines import Interrupted, Lines, interrupt

Make = Callable[..., JsonBufferStreamer]


def buffered(folder: pathlib.Path) -> list[bytes]:
    (path,) = folder.glob("*.open")
    return path.read_bytes().splitlines(keepends=True)[1:]


@pytest.mark.parametrize(("durability", "count"), [("memory", 0), ("os", 2), ("fsync", 2)])
def test_what_is_in_the_file_when_append_returns(
    make: Make, folder: pathlib.Path, kept: Any, durability: str, count: int
) -> None:
    streamer = make(durability=durability)
    streamer.open("web", "a")
    for i in range(2):
        streamer.append("web", "a", {"i": i})
    assert buffered(folder) == [b'{"i":0}\n', b'{"i":1}\n'][:count]
    streamer.flush()
    assert kept.records() == [{"i": 0}, {"i": 1}]


def test_memory_is_written_before_it_grows(make: Make, folder: pathlib.Path, kept: Any) -> None:
    streamer = make(durability="memory")
    streamer.open("web", "a", size_limit=100_000_000)
    for i in range(5):
        streamer.append("web", "a", {"i": i, "pad": "x" * 500_000})
    assert len(buffered(folder)) == 3
    streamer.flush()
    assert [record["i"] for record in kept.records()] == list(range(5))


def test_fsync_has_synced_what_it_acknowledges(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: dict[int, int] = {}
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        synced[os.fstat(handle).st_ino] = os.fstat(handle).st_size

    monkeypatch.setattr(os, "fsync", fsync)
    streamer = make(durability="fsync")
    streamer.open("web", "a")

    def work() -> None:
        for i in range(20):
            streamer.append("web", "a", {"i": i})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (path,) = pathlib.Path(streamer._folder.path).glob("*.open")
    assert synced[path.stat().st_ino] == path.stat().st_size
    assert path.parent.stat().st_ino in synced, "the name is as durable as the file"


def test_threads_share_a_sync(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    streamer = make(durability="fsync")
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    calls: list[int] = []
    begun, go_on = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(handle: int) -> None:
        calls.append(handle)
        begun.set()
        assert go_on.wait(60)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    threads = [threading.Thread(target=streamer.append, args=("web", "a", {"i": i})) for i in range(10)]
    threads[0].start()
    assert begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    pause = threading.Event()
    while streamer.stats.records < 11:
        pause.wait(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(calls) == 2, "one for the first, one for the nine that came meanwhile"


def fail_writes(monkeypatch: pytest.MonkeyPatch, keep: int, error: BaseException, times: int = 1) -> None:
    """Let the next writes of records write only this many bytes, and then raise."""
    real, left = os.write, [times]

    def write(handle: int, data: bytes) -> int:
        if left[0] and b'"bad"' in data[-20:]:
            left[0] -= 1
            if keep:
                real(handle, data[:keep])
            raise error
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize("durability", ["os", "fsync"])
@pytest.mark.parametrize("keep", [0, 3])
def test_a_write_that_fails_leaves_nothing(
    make: Make, folder: pathlib.Path, kept: Any, monkeypatch: pytest.MonkeyPatch, keep: int, durability: str
) -> None:
    streamer = make(durability=durability)
    streamer.open("web", "a")
    fail_writes(monkeypatch, keep, OSError(errno.ENOSPC, "No space left on device"), times=2)
    with pytest.raises(StreamerError, match="the record was not taken: No space left on device"):
        streamer.append("web", "a", {"i": "bad"})
    streamer.append("web", "a", {"i": 0})
    with pytest.raises(StreamerError, match="not taken"):
        streamer.append("web", "a", {"i": "bad"})
    assert buffered(folder) == [b'{"i":0}\n']
    streamer.append("web", "a", {"i": 1})
    streamer.flush()
    assert kept.records() == [{"i": 0}, {"i": 1}]
    assert (streamer.stats.disk_bytes, streamer.stats.records) == (0, 2)


def test_a_write_that_is_interrupted_is_mended_before_the_next(
    make: Make, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamer = make()
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    fail_writes(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        streamer.append("web", "a", {"i": "bad"})
    streamer.append("web", "a", {"i": 1})
    fail_writes(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        streamer.append("web", "a", {"i": "bad"})
    streamer.flush()
    assert kept.records() == [{"i": 0}, {"i": 1}]


def test_a_short_write_goes_on(make: Make, kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:5]))
    streamer = make()
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    monkeypatch.undo()
    streamer.flush()
    assert kept.records() == [{"i": 0}]


def test_a_sync_that_fails_is_never_taken_for_done_later(
    make: Make, folder: pathlib.Path, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamer = make(durability="fsync")
    streamer.open("web", "a")
    streamer.append("web", "a", {"i": 0})
    (first,) = folder.glob("*.open")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
        with pytest.raises(StreamerError, match=r"sync .* failed"):
            streamer.append("web", "a", {"i": 1})
    streamer.append("web", "a", {"i": 2})
    assert not first.exists(), "it goes on in a new file"
    streamer.flush()
    # the files are uploaded at the same time, and end in any order
    assert sorted(record["i"] for record in kept.records() if record["i"] != 1) == [0, 2]


def interrupted_syncs(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> Iterator[Journal]:
    """Yield journals whose first sync was interrupted, each at another line.

    Args:
      folder: of the journals.
      monkeypatch: replaces the sync.
      fails: whether the disk fails at the first sync of each journal; it succeeds at later ones.
    """
    at, lines = 0, Lines(0, interrupt)
    while at <= len(lines.seen):
        at += 1
        journal, lines, left = Journal(folder / f"{at}.open", b"{}", "fsync"), Lines(at, interrupt), iter([fails])

        def fsync(handle: int, left: Iterator[bool] = left) -> None:
            if next(left, False):
                raise OSError(errno.EIO, "I/O error")

        journal.write(b'{"i":0}')
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with lines.watching(), contextlib.suppress(Interrupted, StreamerError):
                journal.sync(journal.size)
            journal.write(b'{"i":1}')
            yield journal
        journal.close()
    assert at > 8


def test_a_sync_that_fails_and_is_interrupted_is_never_taken_for_done_later(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for journal in interrupted_syncs(tmp_path, monkeypatch, fails=True):
        for _ in range(2):
            with pytest.raises(StreamerError, match=r"sync .* failed"):
                journal.sync(journal.size)


def test_a_sync_that_is_only_interrupted_has_not_failed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for journal in interrupted_syncs(tmp_path, monkeypatch, fails=False):
        journal.sync(journal.size)


def test_too_many_open_files_say_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    streamer = make()
    streamer.open("web", "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *args: (_ for _ in ()).throw(OSError(errno.EMFILE, "Too many open files")))
        with pytest.raises(StreamerError, match="not taken: Too many open files; each stream"):
            streamer.append("web", "a", {"i": 0})
    streamer.append("web", "a", {"i": 0})
    assert streamer.stats.records == 1
