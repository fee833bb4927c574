"""Entries of a folder that can't be read as files: named before any work by `pack` and the backfill, left out by a stream."""

from __future__ import annotations

import os
import pathlib
import socket
from collections.abc import Callable

import pytest

from beam_s3box.cli.commands.pack_input import find_local_files
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.stream import Watching
from beam_s3box.jobs.read.file_memory import FileMemory
from beam_s3box.jobs.read.find import find_input
from beam_s3box.jobs.read.input_files import NO_OPTIONS
from beam_s3box.jobs.read.watch import Look


def bind(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(os.path.dirname(path))  # the path of a socket is short
        listener.bind(os.path.basename(path))


def make_not_utf8(path: str) -> None:
    pathlib.Path(os.fsdecode(os.fsencode(path) + b"\xff.jsonl")).write_text("{}\n")


ODD: dict[str, tuple[Callable[[str], None], str]] = {
    "pipe": (os.mkfifo, "odd.jsonl' can't be read: it is not a file, but a pipe"),
    "socket": (bind, "odd.jsonl' can't be read: it is not a file, but a pipe, a socket"),
    "device": (lambda path: os.symlink("/dev/zero", path), "it is not a file, but a pipe, a socket or a device"),
    "link to nothing": (lambda path: os.symlink("nothing", path), "odd.jsonl' can't be read: it is a link to a file"),
    "link to itself": (lambda path: os.symlink(os.path.basename(path), path), "Too many levels of symbolic links"),
    "name": (make_not_utf8, r"odd.jsonl\\xff.jsonl' can't be read: its name is not UTF-8: rename it"),
}
EACH = pytest.mark.parametrize(("make", "says"), ODD.values(), ids=ODD.keys())


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.jsonl").write_text("{}\n")
    return tmp_path


@EACH
def test_pack_and_the_backfill_name_it(folder: pathlib.Path, make: Callable[[str], None], says: str) -> None:
    make(f"{folder}/odd.jsonl")
    with pytest.raises(ConfigurationError, match=says):
        find_local_files([f"{folder}/*.jsonl"])
    with pytest.raises(ConfigurationError, match=says):
        list(find_input([f"{folder}/*.jsonl"], NO_OPTIONS))


@EACH
def test_a_stream_leaves_it_out_and_says_so_once(
    folder: pathlib.Path, make: Callable[[str], None], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    make(f"{folder}/odd.jsonl")
    look = Look([f"{folder}/*.jsonl"], Watching(1, 0, None), lambda: 2e9, 2e9)
    found = [look(FileMemory(0))[0] for _ in range(2)]
    assert [[path for path, *_ in files] for files in found] == [[f"{folder}/good.jsonl"]] * 2
    [record] = caplog.records
    with pytest.raises(ConfigurationError, match=f"{says}.*is left out"):
        raise ConfigurationError(record.getMessage())


@EACH
def test_a_hidden_one_is_skipped(folder: pathlib.Path, make: Callable[[str], None], says: str) -> None:
    """Editors lock a file by a hidden link to nothing."""
    make(f"{folder}/.odd.jsonl")
    assert find_local_files([f"{folder}/*"]) == [f"{folder}/good.jsonl"]
    assert [file.path for file in find_input([f"{folder}/*"], NO_OPTIONS)] == [f"{folder}/good.jsonl"]


@pytest.mark.parametrize("kind", ["link to nothing", "link to itself"])
def test_one_that_is_named_without_wildcards_has_the_same_reason(folder: pathlib.Path, kind: str) -> None:
    make, says = ODD[kind]
    make(f"{folder}/odd.jsonl")
    with pytest.raises(ConfigurationError, match=says):
        find_local_files([f"{folder}/odd.jsonl"])
    with pytest.raises(ConfigurationError, match=says):
        list(find_input([f"{folder}/odd.jsonl"], NO_OPTIONS))


def test_a_stream_reads_it_once_that_is_changed(folder: pathlib.Path) -> None:
    os.symlink("later", folder / "odd.jsonl")
    look = Look([f"{folder}/*.jsonl"], Watching(1, 0, None), lambda: 2e9, 2e9)
    first, memory = look(FileMemory(0))
    (folder / "later").write_text("{}\n")
    second, _ = look(memory)
    assert [[path for path, *_ in files] for files in (first, second)] == [
        [f"{folder}/good.jsonl"],
        [f"{folder}/odd.jsonl"],
    ]
