"""What `pack` and the backfill do with hostile input: lines without end, long values, files that change."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from beam_s3box.cli.commands.pack_input import Reading, ReadingStopped, read_batches
from beam_s3box.cli.console.interrupts import Interrupts
from beam_s3box.errors import ConfigurationError
from beam_s3box.metrics import MemoryMetrics
from tests.cli.conftest import ROOT, Ended

PACK = "beam_s3box pack {folder}/out --input {path} --report {folder}/report.json"
FILL = "pipelines.backfill --output {folder}/out --input {path} --report {folder}/report.json"
NAMED = ["--domain_field=d", "--namespace=n"]
MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a command and prints the kilobytes that it took; in a process of its own, as its memory would be counted in."""

MEGABYTE = b"x" * (1 << 20)


def letters_of(folder: pathlib.Path) -> list[dict[str, str]]:
    files = folder.glob("dead-letters/**/*.gz")
    return [json.loads(line) for path in files for line in gzip.decompress(path.read_bytes()).splitlines()]


def lines_of(folder: pathlib.Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("data/**/*.gz")) for line in gzip.decompress(path.read_bytes()).splitlines()]  # fmt: skip


def run(command: str, path: pathlib.Path, *more: str) -> tuple[int, dict[str, int], str]:
    """Run a command in a process of its own; return its exit code, its report, and what it said of errors."""
    arguments = ["-m", *command.format(folder=path.parent, path=path).split(), *NAMED, *more]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    report = path.parent / "report.json"
    return done.returncode, json.loads(report.read_bytes()) if report.exists() else {}, done.stderr


def with_long_lines(path: pathlib.Path, megabytes: int) -> None:
    """Write two good records, and between them a line of so many megabytes."""
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb") as file:
        file.write(b'{"d":"a","i":1}\n')
        for _ in range(megabytes):
            file.write(MEGABYTE)
        file.write(b'\n{"d":"a","i":2}\n')


@pytest.mark.parametrize("command", [PACK, FILL], ids=["pack", "backfill"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_a_line_without_end_is_one_dead_letter_in_bounded_memory(
    tmp_path: pathlib.Path, command: str, name: str
) -> None:
    path = tmp_path / name
    with_long_lines(path, 120)
    arguments = [*command.format(folder=tmp_path, path=path).split(), *NAMED]
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    peak = int(measured.stdout.split()[-1]) >> 10
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert (report["records_in"], report["records_listed"], report["dead_letters"]) == (3, 2, 1)
    [letter] = letters_of(tmp_path / "out")
    assert letter["reason"] == "too-large"
    assert letter["detail"] == "a line of more than 16777216 bytes; its first 4096 are kept"
    assert letter["raw"] == "x" * 4096
    assert peak < (150 if command == PACK else 350)


@pytest.mark.parametrize("command", [PACK, FILL], ids=["pack", "backfill"])
@pytest.mark.parametrize(
    ("more", "kept", "reasons"),
    [
        ([], [{"d": "a", "t": "short"}], ["value-too-long"]),
        (["--long_values=truncate"], [{"d": "a", "t": "é" * 32_767}, {"d": "a", "t": "short"}], []),
        (["--long_values=keep"], [{"d": "a", "t": "é" * 40_000}, {"d": "a", "t": "short"}], []),
        (["--manifest_count=0"], [{"d": "a", "t": "é" * 40_000}, {"d": "a", "t": "short"}], []),
    ],
)
def test_values_that_redshift_can_not_store(
    tmp_path: pathlib.Path, command: str, more: list[str], kept: list[dict[str, str]], reasons: list[str]
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"d":"a","t":"' + "é" * 40_000 + '"}\n{"d":"a","t":"short"}\n')
    code, report, said = run(command, path, *more)
    assert code == 0, said
    assert (report["records_in"], report["dead_letters"]) == (2, len(reasons))
    assert [json.loads(line) for line in lines_of(tmp_path / "out")] == kept
    assert [letter["reason"] for letter in letters_of(tmp_path / "out")] == reasons


def test_files_that_are_left_out_are_named_and_standard_input_does_not_take_their_place(
    tmp_path: pathlib.Path, pack: Callable[..., Ended]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    (folder / ".b.jsonl").write_text('{"d":"hidden"}\n')
    ended = pack(str(out), f"--input={folder}/*", *NAMED, stdin=b'{"d":"piped"}\n')
    assert (ended.code, out.exists()) == (2, False)
    note = f"left out, as their names are not those of data: {folder}/.b.jsonl, {folder}/_SUCCESS;"
    assert f"error: input: {note}" in ended.err
    (folder / "c.jsonl").write_text('{"d":"c"}\n')
    ended = pack(str(out), f"--input={folder}/*", *NAMED)
    assert (ended.code, lines_of(out)) == (0, [b'{"d":"c"}'])
    assert note in ended.err


@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_a_file_that_changes_while_it_is_packed_is_named(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    lines = b'{"d":"a"}\n' * 3_000_000
    path.write_bytes(gzip.compress(lines, 1) if name.endswith("gz") else lines)
    with Interrupts("") as interrupts:
        batches = read_batches([str(path)], interrupts, Reading(1 << 24), MemoryMetrics())
        next(batches)
        with path.open("ab") as file:
            file.write(gzip.compress(b"{}") if name.endswith("gz") else b"{}\n")
        with pytest.raises(ConfigurationError, match=r"in\.jsonl.*has changed since it was found"):
            list(batches)


def test_a_stop_is_no_error_though_the_file_has_grown(tmp_path: pathlib.Path) -> None:
    """What was read until then is to be listed, as ^C promises."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"d":"a"}\n' * 200_000)
    with Interrupts("") as interrupts:
        batches = read_batches([str(path)], interrupts, Reading(1 << 24), MemoryMetrics())
        next(batches)
        with path.open("ab") as file:
            file.write(b"{}\n")
        interrupts.asked = True
        with pytest.raises(ReadingStopped):
            list(batches)


def test_pipes_and_replaced_files_are_read_to_their_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"d":"a"}\n' * 200_000)
    read, write = os.pipe()
    os.write(write, b"{}\n{}")
    os.close(write)
    with Interrupts("") as interrupts:
        batches = read_batches([str(path)], interrupts, Reading(1 << 24), MemoryMetrics())
        count = len(next(batches).lines)
        other = tmp_path / "other"
        other.write_bytes(b"new")
        os.replace(other, path)
        # the file that was opened is still whole
        assert count + sum(len(batch.lines) for batch in batches) == 200_000
        piped = read_batches([f"/dev/fd/{read}"], interrupts, Reading(1 << 24), MemoryMetrics())
        assert [line for batch in piped for line in batch.lines] == [b"{}"] * 2
    os.close(read)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_the_writer_of_a_named_pipe(tmp_path: pathlib.Path, number: int) -> None:
    """The wait has no limit, and what was packed before it is to be sealed at once."""
    (tmp_path / "in.jsonl").write_bytes(b'{"d":"a"}\n' * 3)
    os.mkfifo(tmp_path / "pipe")
    files = [str(tmp_path / "in.jsonl"), str(tmp_path / "pipe")]
    with Interrupts("") as interrupts:
        batches = read_batches(files, interrupts, Reading(1 << 24), MemoryMetrics())
        assert len(next(batches).lines) == 3
        threading.Timer(0.3, os.kill, [os.getpid(), number]).start()
        with pytest.raises(ReadingStopped, match=r"pipe, file 2 of 2"):
            next(batches)


def test_a_named_pipe_is_read_when_its_writer_comes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Timer(0.3, path.write_bytes, [b"{}\n" * 3])
    writer.start()
    with Interrupts("") as interrupts:
        batches = list(read_batches([str(path)], interrupts, Reading(1 << 24), MemoryMetrics()))
    writer.join()
    assert [line for batch in batches for line in batch.lines] == [b"{}"] * 3


def test_a_short_read_is_no_end(
    tmp_path: pathlib.Path, pack: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: plain(descriptor, 7))
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"d":"a","i":1}\r\n{"d":"a","i":2}')
    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"d":"a","i":3}\n') + gzip.compress(b'{"d":"a","i":4}\n') + b"\0" * 9)
    assert pack(str(tmp_path / "out"), f"--input={path}", f"--input={packed}", *NAMED).code == 0
    assert sorted(json.loads(line)["i"] for line in lines_of(tmp_path / "out")) == [1, 2, 3, 4]
