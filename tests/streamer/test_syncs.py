"""What is synced and renamed, in which order, and what follows when that fails."""

from __future__ import annotations

import errno
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.streamer import JsonBufferStreamer, StreamerError, UploadsFailedError
from beam_s3box.streamer.journal import Journal
from tests.streamer.numbered_records import fill

Make = Callable[..., JsonBufferStreamer]


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
