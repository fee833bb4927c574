"""Damage to the folder by other programs and power loss: recovered or reported once, never silent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pathlib
import shutil
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError, FolderInUseError, RecordsLostError
from beam_s3box.streamer import JsonBufferStreamer, UploadsFailedError
from tests.streamer.numbered_records import fill

Make = Callable[..., JsonBufferStreamer]
NAME = "20261122T101500Z-1f3a9c2b-0123456789ab-00007"
HEADER = b'{"beam_s3box_buffer":1,"domain":"web","namespace":"a","format":"json-lines","compression":"none"}\n'
DESCRIPTION = {
    "file_name": f"{NAME}.json", "domain": "web", "namespace": "a", "path": None, "records": 1, "size": 8, "raw_bytes": 8,
    "content_type": "application/json",
}  # fmt: skip


@pytest.mark.parametrize("durability", ["os", "fsync"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_buffer_that_was_removed_is_written_again(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], durability: str, replaced: bool
) -> None:
    streamer = make(durability=durability)
    fill(streamer, 0, 3)
    (path,) = folder.glob("*.open")
    path.unlink()
    if replaced:
        path.write_bytes(b"somebody else's")
    fill(streamer, 3, 3)
    streamer.close("web", "a")
    assert [record["i"] for record in kept.records()] == list(range(6))
    assert (reported, streamer.stats.lost_records, os.listdir(folder)) == ([], 0, ["lock"])


@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_a_folder_that_was_removed_is_made_again(make: Make, folder: pathlib.Path, kept: Any, durability: str) -> None:
    streamer = make(durability=durability)
    fill(streamer, 0, 3)
    shutil.rmtree(folder)
    streamer.run_scheduled()
    with pytest.raises(FolderInUseError):
        make()
    streamer.flush()
    shutil.rmtree(folder)
    fill(streamer, 3, 3)
    streamer.flush()
    assert [record["i"] for record in kept.records()] == list(range(6))


@pytest.mark.parametrize("length", [0, 10, 150])
def test_a_buffer_that_was_cut_loses_no_more_and_is_told_once(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], length: int
) -> None:
    streamer = make()
    fill(streamer, 0, 20)
    (path,) = folder.glob("*.open")
    os.truncate(path, length)
    fill(streamer, 20, 20)
    with pytest.raises(
        UploadsFailedError, match=r"RecordsLostError: \d+ records of this file are lost\)\. Some of their records"
    ) as caught:
        streamer.flush()
    assert [file.place for file in caught.value.files] == ["lost"]
    found = [record["i"] for record in kept.records()]
    assert found[-19:] == list(range(21, 40)), "what came later is whole"
    assert streamer.stats.lost_records == 40 - len(found)
    losses = [error for error in reported if isinstance(error, RecordsLostError)]
    assert [str(error).partition(" are")[0] for error in losses] == [f"{40 - len(found)} of 40 records of web/a"]
    fill(streamer, 40, 5)
    streamer.flush()
    assert [record["i"] for record in kept.records()][-5:] == list(range(40, 45))
    assert streamer.shut_down() == ()


def test_a_buffer_that_was_overwritten_in_its_place_lists_no_damaged_line(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any]
) -> None:
    streamer = make()
    fill(streamer, 0, 20)
    (path,) = folder.glob("*.open")
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(b'{"i":9}'))
        file.write(b"\0" * 15)
    with pytest.raises(UploadsFailedError, match="RecordsLostError: 2 records"):
        streamer.flush()
    assert [record["i"] for record in kept.records()] == [*range(9), *range(11, 20)]
    assert streamer.stats.lost_records == 2
    assert [path.suffix for path in folder.glob("2*")] == [".damaged"]
    assert len(reported) == 2


@pytest.mark.parametrize("state", ["sealed", "json", "cut json", "ready"])
def test_a_file_that_was_removed_before_its_upload_is_reported_and_holds_nothing_up(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamer = make(upload_threads=1)
    kept.error = OSError("no network")
    if state == "sealed":
        # so that it is never finished
        monkeypatch.setattr(
            streamer._folder, "_write", lambda *args: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))
        )
    fill(streamer, 0, 5)
    with pytest.raises(UploadsFailedError):
        streamer.flush()
    monkeypatch.undo()
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_value))
    (path,) = folder.glob(f"*.{state.rpartition(' ')[2]}")
    if state == "cut json":
        os.truncate(path, 3)
    else:
        path.unlink()
    kept.error = None
    if state == "ready":
        streamer.flush()
        assert len(kept.records()) == 5
        return
    with pytest.raises(UploadsFailedError, match="5 of 5 records of web/a are lost: another program removed"):
        streamer.flush()
    assert sum(isinstance(error, RecordsLostError) for error in reported) == 1
    assert (kept.bodies, streamer.stats.lost_records, streamer.stats.pending) == ([], 5, ())
    streamer.flush()
    assert streamer.shut_down() == ()


def leave(folder: pathlib.Path, **files: bytes) -> None:
    folder.mkdir()
    for state, body in files.items():
        (folder / f"{NAME}.{state.replace('_', '.')}").write_bytes(body)


@pytest.mark.parametrize("body", [b"\0" * 300, b"\0", HEADER[:20] + b"\0" * 400])
def test_zeros_are_kept_as_damaged(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], body: bytes
) -> None:
    leave(folder, open=body)
    streamer = make()
    streamer.flush()
    assert (folder / f"{NAME}.damaged").read_bytes() == body
    assert streamer.stats.damaged_files == 1
    assert len(reported) == 1


@pytest.mark.parametrize("tail", [b"\0" * 30, b'{"i":1}' + b"\0" * 10])
def test_zeros_in_the_place_of_the_last_records_are_told(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], tail: bytes
) -> None:
    leave(folder, open=HEADER + b'{"i":0}\n' + tail)
    make().flush()
    assert kept.bodies == [b'{"i":0}\n']
    assert (folder / f"{NAME}.damaged").read_bytes() == tail
    assert len(reported) == 1


@pytest.mark.parametrize(
    ("buffer", "damaged"),
    [
        (HEADER[:60] + b"\0" * 90, True),
        (HEADER[:60] + b"\0" * 90 + b"\n", True),
        (b"\0" * 150, True),
        (HEADER + b'{"i"', False),
        (HEADER[:60], False),
        (b"", False),
    ],
)
@pytest.mark.parametrize("file", [b"", b'{"i"', None])
def test_a_power_cut_that_left_the_description_and_no_record_leaves_no_file(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], buffer: bytes, damaged: bool, file: bytes | None
) -> None:
    """A disk that keeps neither the order of names nor what was not synced has an earlier attempt's file, say."""
    files = {} if file is None else {"json": file}
    leave(folder, open=buffer, ready=json.dumps(DESCRIPTION).encode(), **files)
    streamer = make()
    streamer.flush()
    assert kept.bodies == []
    assert sorted(os.listdir(folder)) == [f"{NAME}.damaged"] * damaged + ["lock"]
    assert streamer.stats.disk_bytes == len(buffer) * damaged
    assert len(reported) == damaged, "what can't be read is kept and reported, not skipped as a header"
    assert not damaged or (folder / f"{NAME}.damaged").read_bytes() == buffer


@pytest.mark.parametrize("has_buffer", [True, False])
def test_a_finished_file_of_an_earlier_process_that_holds_something_else_is_not_uploaded(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], has_buffer: bool
) -> None:
    """As a power cut leaves it that kept the name of a failed attempt's file, of the same size."""
    ready = json.dumps(
        {**DESCRIPTION, "compression": "none", "sha256": hashlib.sha256(b'{"i":0}\n').hexdigest()}
    ).encode()
    buffer = {"sealed": HEADER + b'{"i":0}\n'} if has_buffer else {}
    leave(folder, json=b"\0" * 8, ready=ready, **buffer)
    streamer = make()
    if has_buffer:
        streamer.flush()
        assert kept.bodies == [b'{"i":0}\n'], "the buffer was still there, and is written again"
        assert (reported, os.listdir(folder)) == ([], ["lock"])
        return
    with pytest.raises(UploadsFailedError, match="1 of 1 records of web/a are lost"):
        streamer.flush()
    assert (kept.bodies, streamer.stats.lost_records) == ([], 1)
    assert sorted(os.listdir(folder)) == [f"{NAME}.damaged", "lock"]


def test_a_finished_file_is_read_once_before_its_first_upload(
    make: Make, folder: pathlib.Path, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"i":0}\n'
    ready = json.dumps({**DESCRIPTION, "compression": "none", "sha256": hashlib.sha256(body).hexdigest()}).encode()
    leave(folder, json=body, ready=ready)
    read: list[pathlib.Path] = []

    def read_file(path: pathlib.Path) -> bytes:
        read.append(path)
        return path.read_bytes()

    monkeypatch.setattr("beam_s3box.streamer.folder.read_file", read_file)
    streamer = make()
    kept.error = OSError("no network")
    for _ in range(2):
        with pytest.raises(UploadsFailedError):
            streamer.flush()
    kept.error = None
    streamer.flush()
    assert [path.name for path in read] == [f"{NAME}.json"]
    assert kept.bodies == [body]


BROKEN = [
    b"", b"\0\0", b"{", b"[]", b"7", b"null", b"{}", b"[" * 5_000,
    json.dumps({**DESCRIPTION, "records": "1"}).encode(), json.dumps({**DESCRIPTION, "records": -1}).encode(),
    json.dumps({**DESCRIPTION, "more": 1}).encode(), json.dumps({**DESCRIPTION, "file_name": "../x.json"}).encode(),
    json.dumps({**DESCRIPTION, "file_name": None}).encode(), json.dumps({**DESCRIPTION, "url": 7}).encode(),
    json.dumps({**DESCRIPTION, "compression": "zip"}).encode(), json.dumps({**DESCRIPTION, "listed": 1}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("state", ["ready", "uploaded", "listing"])
def test_a_damaged_description_stops_nothing(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any], state: str, text: bytes, stored: Any
) -> None:
    leave(folder, json=b'{"i":0}\n', **{state: text})
    streamer = make(**stored)
    fill(streamer, 1, 2)
    streamer.flush()
    streamer.write_manifests()
    assert (folder / f"{NAME}.damaged").read_bytes() == text
    if state != "listing":
        assert (folder / f"{NAME}.json.damaged").read_bytes() == b'{"i":0}\n', "a person may want it"
    assert "damaged" in str(reported[0])
    assert streamer.stats.damaged_files == 1
    assert streamer.shut_down() == ()


def test_a_buffer_whose_description_is_damaged_is_finished_again(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any]
) -> None:
    leave(folder, sealed=HEADER + b'{"i":0}\n', json=b'{"i":0}\n', ready=b"{")
    make().flush()
    assert kept.bodies == [b'{"i":0}\n']
    assert len(reported) == 1


@pytest.mark.parametrize("body", [None, b'{"i'])
def test_a_file_that_is_gone_is_made_again_while_its_buffer_is_there(
    make: Make, folder: pathlib.Path, kept: Any, body: bytes | None
) -> None:
    files = {"sealed": HEADER + b'{"i":0}\n', "ready": json.dumps({**DESCRIPTION, "compression": "none"}).encode()}
    leave(folder, **files, **({} if body is None else {"json": body}))
    make().flush()
    assert kept.bodies == [b'{"i":0}\n']
    assert os.listdir(folder) == ["lock"]


def test_a_buffer_of_what_is_uploaded_is_dropped(
    make: Make, folder: pathlib.Path, kept: Any, reported: list[Any]
) -> None:
    leave(folder, sealed=HEADER + b'{"i":0}\n', json=b"x", ready=b"{", uploaded=json.dumps(DESCRIPTION).encode())
    streamer = make()
    streamer.flush()
    assert kept.bodies == []
    assert sorted(os.listdir(folder)) == [f"{NAME}.uploaded", "lock"]
    assert streamer.stats.unlisted_files == 1
    assert "holds 1 file that a streamer with other settings left" in str(reported[0])


@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe", "folder"])
def test_a_lock_that_is_no_file_of_its_own_is_not_followed(
    make: Make, folder: pathlib.Path, tmp_path: pathlib.Path, kind: str
) -> None:
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    lock = folder / "lock"
    {"symbolic": lambda: lock.symlink_to(victim), "hard": lambda: lock.hardlink_to(victim),
     "pipe": lambda: os.mkfifo(lock), "folder": lock.mkdir}[kind]()  # fmt: skip
    with pytest.raises(ConfigurationError, match="files_path="):
        make()
    assert victim.read_text() == "mine"


def test_the_folder_stays_locked_when_the_file_lock_is_removed(make: Make, folder: pathlib.Path) -> None:
    make()
    (folder / "lock").unlink()
    with pytest.raises(FolderInUseError, match="is in use"):
        make()


def test_links_are_ignored(make: Make, folder: pathlib.Path, kept: Any, tmp_path: pathlib.Path) -> None:
    folder.mkdir()
    (tmp_path / "other").write_bytes(HEADER + b'{"i":0}\n')
    (folder / f"{NAME}.sealed").symlink_to(tmp_path / "other")
    make().flush()
    assert kept.files == []
    assert (tmp_path / "other").exists()
