"""Full disks and `max_disk_bytes`: nothing is lost, and all goes on once there is room again."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import FolderInUseError
from beam_s3box.streamer import JsonBufferStreamer, StreamerError, UploadsFailedError
from beam_s3box.streamer.quota import DiskQuota
from tests.streamer.numbered_records import fill

Make = Callable[..., JsonBufferStreamer]


def bytes_in(folder: pathlib.Path) -> int:
    """Return the bytes of all files of streamers, which other threads may remove in the meantime."""
    sizes = []
    for path in folder.glob("*.*"):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sum(sizes)


def test_half_a_finished_file_leaves_its_room(
    make: Make, folder: pathlib.Path, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamer = make()
    fill(streamer, 0, 5)
    real = os.write

    def write(handle: int, data: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{handle}").endswith(".json"):
            real(handle, data[:7])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(UploadsFailedError, match="No space left"):
            streamer.flush()
    assert not list(folder.glob("*.json"))
    assert streamer.stats.disk_bytes == bytes_in(folder) > 0
    streamer.flush()
    assert streamer.stats.disk_bytes == 0
    assert len(kept.records()) == 5


def test_the_maximum_is_kept_also_while_files_are_finished(make: Make, folder: pathlib.Path, kept: Any) -> None:
    largest = [0]
    streamer = make(max_disk_bytes=20_000)

    def look() -> None:
        largest[0] = max(largest[0], bytes_in(folder))

    kept.error = OSError("no network")
    streamer.open("web", "a", size_limit=3_000)

    def use_all() -> None:
        for i in range(10_000):
            streamer.append("web", "a", {"i": i, "pad": "x" * 50})
            look()

    with pytest.raises(StreamerError, match="max_disk_bytes"):
        use_all()
    with pytest.raises(UploadsFailedError):
        streamer.flush()
    look()
    assert 10_000 < largest[0] <= 20_000
    kept.error = None
    streamer.flush()
    assert streamer.stats.disk_bytes == 0


class SmallDisk:
    """A disk with room for this many bytes of the folder, for `statvfs` and for writes."""

    def __init__(self, folder: pathlib.Path, size: int) -> None:
        self.folder = folder
        self.size = size

    def free(self, *_: Any) -> int:
        return max(0, self.size - bytes_in(self.folder))

    def install(self, patch: pytest.MonkeyPatch) -> None:
        real = os.write

        def write(handle: int, data: bytes) -> int:
            if str(self.folder) not in os.readlink(f"/proc/self/fd/{handle}"):
                return real(handle, data)
            room = self.free()
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(handle, data[:room])

        patch.setattr(os, "write", write)
        patch.setattr(DiskQuota, "_free", self.free)


@pytest.mark.parametrize("streams", ["a", "ab"])
def test_a_full_disk_is_emptied_once_uploads_succeed(
    make: Make, folder: pathlib.Path, kept: Any, monkeypatch: pytest.MonkeyPatch, streams: str
) -> None:
    SmallDisk(folder, 300_000).install(monkeypatch)
    streamer = make()
    for namespace in streams:
        streamer.open("web", namespace, size_limit=1_000_000)
    kept.error = OSError("no network")

    def use_all() -> None:
        for i in range(10_000):
            streamer.append("web", streams[i % len(streams)], {"i": i, "pad": "x" * 500})

    with pytest.raises(StreamerError, match=r"the disk of .* is full, but for what is needed to finish"):
        use_all()
    taken = streamer.stats.records
    assert taken > 100
    with pytest.raises(UploadsFailedError):
        streamer.flush()
    kept.error = None
    streamer.flush()
    assert sorted(record["i"] for record in kept.records()) == list(range(taken))


@pytest.mark.parametrize("streams", ["a", "ab"])
def test_memory_goes_through_a_disk_that_is_too_small_for_it(
    make: Make, folder: pathlib.Path, kept: Any, monkeypatch: pytest.MonkeyPatch, streams: str
) -> None:
    SmallDisk(folder, 250_000).install(monkeypatch)
    streamer = make(durability="memory")
    for namespace in streams:
        streamer.open("web", namespace, size_limit=1_000_000)
    for i in range(800):
        streamer.append("web", streams[i % len(streams)], {"i": i, "pad": "x" * 500})
    assert streamer.shut_down() == ()
    assert sorted(record["i"] for record in kept.records()) == list(range(800))
    assert streamer.stats.records == 800


def test_what_is_in_memory_only_is_said_and_not_forgotten(
    make: Make, folder: pathlib.Path, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamer = make(durability="memory")
    fill(streamer, 0, 50)
    disk = SmallDisk(folder, 0)
    with monkeypatch.context() as patch:
        disk.install(patch)
        with pytest.raises(UploadsFailedError, match=r"No space left.*Their records are in memory only") as caught:
            streamer.flush()
        assert "stay in" not in str(caught.value)
        for _ in range(2):
            (remaining,) = streamer.shut_down()
            assert (remaining.place, remaining.file_name) == ("memory", "")
        with pytest.raises(FolderInUseError):
            make()
    assert streamer.shut_down() == ()
    assert [record["i"] for record in kept.records()] == list(range(50))
    make()
