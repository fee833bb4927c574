"""What a crash leaves at each step: the next streamer uploads each acknowledged record once, under the same name."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.stores import LocalStore
from beam_s3box.streamer import FolderInUseError, JsonBufferStreamer, StoreUploader, UploadsFailedError, recovery

Make = Callable[..., JsonBufferStreamer]
NAME = "20261122T101500Z-1f3a9c2b-0123456789ab-00007"
HEADER = b'{"beam_s3box_buffer":1,"domain":"web","namespace":"a/b","format":"json-lines","compression":"none"}\n'


@pytest.fixture
def left(folder: pathlib.Path) -> Callable[[str, bytes], pathlib.Path]:
    """Leave a file in the folder, as a crash would."""
    folder.mkdir()

    def leave(state: str, body: bytes) -> pathlib.Path:
        path = folder / f"{NAME}.{state}"
        path.write_bytes(body)
        return path

    return leave


@pytest.mark.parametrize("state", ["open", "sealed"])
@pytest.mark.parametrize(
    ("tail", "records"),
    [
        (b'{"i":0}\n{"i":1}\n', [{"i": 0}, {"i": 1}]),
        (b'{"i":0}\n{"i":1}', [{"i": 0}]),
        (b'{"i":0}\n{"i', [{"i": 0}]),
        ('{"i":0}\n{"é'.encode()[:-1], [{"i": 0}]),
        (b'{"i"', []),
        (b"", []),
    ],
)
def test_only_a_torn_last_record_is_dropped(
    left: Any, make: Make, kept: Any, folder: pathlib.Path, state: str, tail: bytes, records: list[Any]
) -> None:
    left(state, HEADER + tail)
    make(format="json-array", compression="gzip").flush()
    assert [json.loads(line) for body in kept.bodies for line in body.splitlines()] == records
    assert [(f.domain, f.namespace, f.file_name) for f in kept.files] == [("web", "a/b", f"{NAME}.json")] * bool(
        records
    )
    assert os.listdir(folder) == ["lock"]


@pytest.mark.parametrize("length", [0, 1, len(HEADER) - 1])
def test_a_torn_header_was_never_acknowledged(left: Any, make: Make, kept: Any, length: int) -> None:
    path = left("open", HEADER[:length])
    make().flush()
    assert kept.files == []
    assert not path.exists()


def test_bytes_that_are_no_record_are_kept_and_told(
    left: Any, make: Make, kept: Any, folder: pathlib.Path, reported: list[Any]
) -> None:
    left("open", HEADER + b'{"i":0}\n' + b"\0" * 50 + b"\n" + b'{"i":1}\n')
    streamer = make()
    streamer.flush()
    assert kept.bodies == [b'{"i":0}\n{"i":1}\n']
    damaged = folder / f"{NAME}.damaged"
    assert damaged.read_bytes() == b"\0" * 50 + b"\n"
    assert [str(error) for error in reported] == [
        f"a crash damaged the buffer {NAME}: 51 bytes of it are no records; see {damaged}"
    ]
    assert (streamer.stats.damaged_files, streamer.stats.disk_bytes) == (1, 51)
    streamer.shut_down()
    again = make()
    assert (again.stats.damaged_files, again.stats.disk_bytes) == (1, 51)


@pytest.mark.parametrize("header", [b"{}", b"no header", HEADER.replace(b"json-lines", b"parquet").strip()])
def test_a_buffer_of_nobody_is_kept_and_told(
    left: Any, make: Make, kept: Any, folder: pathlib.Path, reported: list[Any], header: bytes
) -> None:
    left("sealed", header + b'\n{"i":0}\n')
    assert make().stats.damaged_files == 1
    assert "its header can't be read" in str(reported[0])
    assert (folder / f"{NAME}.damaged").read_bytes() == header + b'\n{"i":0}\n'
    assert kept.files == []


def test_a_file_that_was_finished_is_uploaded_as_it_is(left: Any, make: Make, kept: Any, folder: pathlib.Path) -> None:
    """The bytes must be those of the first attempt, whatever codec this version has."""
    body = gzip.compress(b'{"i":0}\n', 1)
    description = {
        "file_name": f"{NAME}.json.gz", "domain": "web", "namespace": "a/b", "path": None, "records": 1,
        "size": len(body), "raw_bytes": 8, "content_type": "application/gzip",
    }  # fmt: skip
    left("sealed", HEADER + b'{"i":0}\n')
    left("json.gz", body)
    left("ready", json.dumps(description).encode())
    left("part", b"")
    make().flush()
    assert kept.bodies == [body]
    assert os.listdir(folder) == ["lock"]


def test_a_half_finished_file_is_made_again(left: Any, make: Make, kept: Any, folder: pathlib.Path) -> None:
    left("sealed", HEADER + b'{"i":0}\n')
    left("json", b'{"i"')
    left("part", b'{"file_n')
    make().flush()
    assert kept.bodies == [b'{"i":0}\n']
    assert os.listdir(folder) == ["lock"]


FINISHED = {
    ("json-lines", "none"): b'{"i":0}\n{"i":1}\n',
    ("json-lines", "gzip"): gzip.compress(b'{"i":0}\n{"i":1}\n', 1),
    ("json-array", "none"): b'[\n{"i":0},\n{"i":1}\n]\n',
    ("json-array", "gzip"): gzip.compress(b'[\n{"i":0},\n{"i":1}\n]\n', 1),
}


def header_of(format: str, compression: str) -> bytes:
    return HEADER.replace(b"json-lines", format.encode()).replace(b"none", compression.encode())


@pytest.mark.parametrize("output", FINISHED)
def test_a_finished_file_without_a_description_may_be_more_than_what_a_loss_of_power_left_of_its_buffer(
    left: Any, make: Make, kept: Any, folder: pathlib.Path, output: tuple[str, str]
) -> None:
    """It was synced, and perhaps uploaded, and its buffer removed; that is back, without its end."""
    left("sealed", header_of(*output) + b'{"i":0}\n{"i"')
    left("json.gz" if output[1] == "gzip" else "json", FINISHED[output])
    make().flush()
    assert kept.bodies == [FINISHED[output]]
    assert [(file.records, file.raw_bytes) for file in kept.files] == [(2, 16 if output[0] == "json-lines" else 21)]
    assert os.listdir(folder) == ["lock"]


@pytest.mark.parametrize("output", FINISHED)
@pytest.mark.parametrize(
    "cut", [lambda body: body[:-1], lambda body: body[:3], lambda body: b"", lambda body: body + b"\0"]
)
def test_a_finished_file_without_a_description_is_made_again_if_it_is_not_whole(
    left: Any, make: Make, kept: Any, output: tuple[str, str], cut: Callable[[bytes], bytes]
) -> None:
    left("sealed", header_of(*output) + b'{"i":0}\n{"i":1}\n')
    left("json.gz" if output[1] == "gzip" else "json", cut(FINISHED[output]))
    make().flush()
    [body] = kept.bodies
    if output[1] == "gzip":
        inflater = zlib.decompressobj(31)
        body = inflater.decompress(body)
        assert inflater.unused_data == b"", "a single member"
    assert [line.rstrip(b",") for line in body.splitlines() if len(line) > 1] == [b'{"i":0}', b'{"i":1}']


@pytest.mark.parametrize("state", ["json", "json.gz", "part"])
def test_the_rest_of_an_uploaded_file_is_removed(left: Any, make: Make, kept: Any, state: str) -> None:
    path = left(state, b"x")
    make().flush()
    assert kept.files == []
    assert not path.exists()


def test_files_of_others_are_left_alone(left: Any, make: Make, folder: pathlib.Path) -> None:
    left("backup", b"x")
    (folder / "notes.json").write_text("x")
    make().flush()
    assert sorted(os.listdir(folder)) == [f"{NAME}.backup", "lock", "notes.json"]


def test_an_object_whose_upload_was_not_put_down_stays_one(make: Make, folder: pathlib.Path, tmp_path: Any) -> None:
    """Killed between the upload and the removal: both the object and the file exist."""
    store = LocalStore(tmp_path / "store")
    uploader = StoreUploader(store)

    def upload_and_die(file: Any) -> None:
        uploader.upload(file)
        raise OSError("gone")

    streamer = make(upload_and_die)
    streamer.open("web", "a/b")
    streamer.append("web", "a/b", {"i": 0})
    with pytest.raises(UploadsFailedError):
        streamer.flush()
    streamer.shut_down()
    assert len(list(store.list("data/"))) == 1
    assert list(folder.glob("*.ready"))
    make(uploader).flush()
    (object,) = store.list("data/")
    assert object.key.startswith("data/web/a%2Fb/")
    assert json.loads(store.get(object.key)) == [{"i": 0}]
    assert os.listdir(folder) == ["lock"]


def test_one_streamer_a_folder(make: Make, folder: pathlib.Path, kept: Any) -> None:
    streamer = make()
    with pytest.raises(FolderInUseError, match=f"is in use by the streamer of process {os.getpid()}"):
        make()
    program = f"from beam_s3box.streamer import JsonBufferStreamer; JsonBufferStreamer(print, {str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"is in use by the streamer of process {os.getpid()}" in done.stderr
    streamer.shut_down()
    make()


def test_names_are_durable_before_a_file_is_removed_that_they_replace(
    left: Any, make: Make, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed between a rename and its sync leaves a name that a machine without power forgets."""
    left("sealed", HEADER + b'{"i":0}\n')
    steps: list[str] = []
    unlink = os.unlink

    def sync(path: pathlib.Path) -> None:
        steps.append("sync")

    def remove(path: pathlib.Path) -> None:
        steps.append("remove")
        unlink(path)

    monkeypatch.setattr(recovery, "sync_folder", sync)
    monkeypatch.setattr(os, "unlink", remove)
    make().flush()
    assert steps[0] == "sync"
    assert "remove" in steps
