"""`pack` in this process: what it reads, writes, says and refuses."""

from __future__ import annotations

import functools
import gzip
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.cli.commands import pack as pack_module
from beam_s3box.cli.commands.table import COMMANDS
from beam_s3box.cli.console.progress import shown
from beam_s3box.cli.main import main
from beam_s3box.engine.line_packer import LinePacker, Packed
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.readback import read_back

NAMING = ("--domain_field=d", "--namespace_field=n")
RECORDS = b"".join(json.dumps({"d": "web", "n": f"e{i % 4}", "i": i}).encode() + b"\n" for i in range(60))
Run = Callable[..., Any]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(16))


def numbers(store: MemoryStore) -> list[int]:
    return sorted(record["i"] for record in read_back(store).all_records())


def test_standard_input_is_packed_and_told(pack: Run, store: MemoryStore, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "report.json"
    stdin = b"\xef\xbb\xbf" + RECORDS.replace(b"\n", b"\r\n") + b"\n  \nno record"
    ended = pack(store.root, *NAMING, "--max_records=5", "--manifest_count=2", f"--report={path}", stdin=stdin)
    assert ended.code == 0
    assert "WARNING dead letters of run " in ended.err
    assert ended.err.endswith(": 1 not-json: not JSON: invalid character (byte 4) (standard input, line 63)\n")
    assert numbers(store) == list(range(60))
    report = json.loads(path.read_text())
    assert (report["records_in"], report["records_listed"], report["dead_letters"]) == (61, 60, 1)
    assert [(stream["records"], stream["shards"], len(stream["manifests"])) for stream in report["streams"]] == [
        (15, 3, 2)
    ] * 4
    assert "61 records read = 60 listed + 1 dead letter" in ended.out
    assert f"dead letters {store.root}/dead-letters/{report['run_id']}/" in ended.out
    assert "… and 3 more manifests" in ended.out


def test_files_plain_and_gzip_each_once(pack: Run, store: MemoryStore, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(RECORDS)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"d":"web","n":"e","i":60}') + gzip.compress(b"\n"))
    ended = pack(store.root, *NAMING, f"--input={tmp_path}/*.jsonl*", f"--input={tmp_path}/a.jsonl")
    assert (ended.code, ended.err) == (0, "")
    assert numbers(store) == list(range(61))


def test_a_local_folder(pack: Run, tmp_path: pathlib.Path) -> None:
    assert pack(f"{tmp_path}/out", *NAMING, stdin=RECORDS).code == 0
    assert len(list((tmp_path / "out" / "manifests").rglob("*.manifest"))) == 4


@pytest.mark.parametrize("choice", ["--format=json-array", "--manifest_count=0"])
def test_without_manifests_what_is_in_shards_counts_as_listed(pack: Run, store: MemoryStore, choice: str) -> None:
    ended = pack(store.root, *NAMING, choice, stdin=RECORDS)
    assert ended.code == 0
    assert "60 records read = 60 listed" in ended.out
    assert list(store.list("manifests/")) == []


def test_no_records_are_a_run_of_nothing(pack: Run, store: MemoryStore) -> None:
    ended = pack(store.root, *NAMING)
    assert (ended.code, ended.err) == (0, "")
    assert "0 records read = 0 listed + 0 dead letters" in ended.out


def test_a_bad_record_fails_where_that_is_asked_for(pack: Run, store: MemoryStore) -> None:
    ended = pack(store.root, *NAMING, "--on_bad_record=fail", stdin=RECORDS + b"no record\n")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: the pack failed: not-json: ")
    assert "on_bad_record='dead_letter'" in ended.err
    assert ended.err.count("\n") == 1
    assert list(store.list("manifests/")) == []


def test_input_without_any_good_record_fails_and_is_told_why(pack: Run, store: MemoryStore) -> None:
    ended = pack(store.root, "--domain_field=dd", "--namespace=n", stdin=RECORDS)
    assert (ended.code, ended.out) == (1, "")
    assert (
        "the pack failed: 60 of 60 records are dead letters, that is every one: 60 missing-stream: no field 'dd', or it "
        "is null; fields there: d, n, i; did you mean 'd'? (standard input, line 1). The first begins "
    ) in ended.err
    assert ended.err.endswith("accept dead letters with max_dead_letters='100%'\n")
    found = read_back(store)
    assert (len(found.dead_letters), found.manifests) == (60, {})
    assert {letter["namespace"] for letter in found.dead_letters} == {"n"}
    [run] = [info for info in store.list("runs/") if info.key.count("/") == 1]
    assert json.loads(store.get(run.key))["state"] == "failed"
    accepted = pack(store.root, "--domain_field=dd", "--namespace=n", "--max_dead_letters=100%", stdin=RECORDS)
    assert accepted.code == 0
    assert "60 records read = 0 listed + 60 dead letters\n  60 missing-stream: no field 'dd'" in accepted.out


def test_a_file_without_any_good_record_fails_by_its_name(
    pack: Run, store: MemoryStore, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "a.jsonl").write_bytes(RECORDS)
    (tmp_path / "b.jsonl").write_bytes(b"x\ny\n")
    ended = pack(store.root, *NAMING, f"--input={tmp_path}/*.jsonl")
    assert ended.code == 1
    assert f"2 of 62 records are dead letters, among them every one of {tmp_path}/b.jsonl: 2 not-json" in ended.err
    assert pack(store.root, *NAMING, f"--input={tmp_path}/*.jsonl", "--max_dead_letters=2").code == 0
    assert pack(store.root, *NAMING, f"--input={tmp_path}/*.jsonl", "--max_dead_letters=3%").code == 1


def test_a_damaged_file_fails_and_lists_nothing(pack: Run, store: MemoryStore, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(RECORDS * 100)[:-20])
    ended = pack(store.root, *NAMING, f"--input={tmp_path}/a.jsonl.gz")
    assert ended.code == 1
    assert ended.err.startswith("error: the pack failed: input=")
    assert "ends in the middle" in ended.err
    assert list(store.list("manifests/")) == []


def test_the_traceback_of_a_failure_is_shown_at_debug(pack: Run, store: MemoryStore) -> None:
    ended = pack(store.root, *NAMING, "--on_bad_record=fail", "--log_level=debug", stdin=b"x\n")
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.splitlines()[-1].startswith("error: the pack failed: not-json")


def test_a_run_id_is_used_once(pack: Run, store: MemoryStore) -> None:
    assert pack(store.root, *NAMING, "--run_id=once", stdin=RECORDS).code == 0
    ended = pack(store.root, *NAMING, "--run_id=once", stdin=RECORDS)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: run_id='once' already finished a run below {store.root}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["memory://never", "--max_objct_bytes=1MB"],
            "--max_objct_bytes is not an option: did you mean --max_object_bytes?",
        ),
        (["memory://never", "--max_object_bytes=10XB"], "max_object_bytes='10XB' is not a size"),
        (["memory://never", "--max_raw_bytes=0"], "max_raw_bytes='0' must be at least 1 byte"),
        (["memory://never", "--max_records=0"], "max_records=0 must be a whole number"),
        (["memory://never", "--manifest_count=-1"], "--manifest_count=-1 must be a whole number"),
        (["memory://never", "--format=xml"], "--format: invalid choice: 'xml'"),
        (["memory://never", "--s3_concurrency=0"], "options --s3_*: concurrency=0 must be a whole number"),
        (["memory://never", "--run_id=a b"], "run_id='a b' must be"),
        (["memory://never", "--report=/none/r.json"], "report='/none/r.json' can't be written"),
        (["memory://never", "--input=/none/*.jsonl"], "input='/none/*.jsonl' matches no file"),
        (["memory://never", "--input=s3://b/a.jsonl"], "--input='s3://b/a.jsonl' must be local"),
        (["memory://never", "--input=/"], "input='/' is a folder: did you mean"),
        (["memory://never", "--s3_access_key_id=key"], "--s3_access_key_id and --s3_secret_access_key go together"),
        (["memory://never", "more.jsonl"], "'more.jsonl' belongs to no option"),
        (["ftp://never"], "destination='ftp://never' has an unknown scheme"),
        ([], "the destination is missing"),
    ],
)
def test_what_can_not_work_ends_before_any_work(pack: Run, arguments: list[str], message: str) -> None:
    ended = pack(*arguments, *NAMING, stdin=RECORDS)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {message}")
    assert ended.err.count("\n") == 1
    assert list(MemoryStore("never").list()) == []


def test_a_stream_without_a_name_is_refused(pack: Run) -> None:
    assert pack("memory://never").err.startswith("error: nothing says how a record names its stream: give --domain")


def test_other_formats_are_sent_to_the_pipeline(pack: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b""))
    ended = pack("memory://never", *NAMING, f"--input={tmp_path}/a.csv.gz")
    assert ended.code == 2
    assert "is csv, and this packs JSON: use s3box backfill" in ended.err


def test_a_terminal_is_no_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with open(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["pack", "memory://never", *NAMING]) == 2
    os.close(ours)
    assert capsys.readouterr().err.startswith("error: --input is missing, and nothing is piped in")


def test_without_a_terminal_the_progress_goes_to_the_log(
    pack: Run, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(LinePacker):
        def finish(self) -> Packed:
            time.sleep(0.3)
            return super().finish()

    monkeypatch.setattr(pack_module, "LinePacker", Slow)
    monkeypatch.setattr(pack_module, "shown", functools.partial(shown, log_seconds=0.05))
    ended = pack(store.root, *NAMING, stdin=RECORDS)
    assert ended.code == 0
    assert " INFO 2.0 KB read · 60 records · " in ended.err


def test_a_mistyped_secret_is_not_shown(pack: Run) -> None:
    assert "hunter2" not in pack("memory://never", *NAMING, "--s3_secret_acces_key=hunter2").err


def test_records_that_are_missing_fail_the_run(pack: Run, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loses(LinePacker):
        def finish(self) -> Packed:
            return super().finish()._replace(records_in=61)

    monkeypatch.setattr(pack_module, "LinePacker", Loses)
    ended = pack(store.root, *NAMING, stdin=RECORDS)
    assert ended.code == 1
    assert "error: records are missing or duplicated: 61 records read ≠ 60 listed" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--verson"], 2, "error: '--verson' is not a command: did you mean --version?\n"),
        (["version"], 2, "error: 'version' is not a command: did you mean --version?\n"),
        (
            ["pack", "--max_seconds=5"],
            2,
            "error: --max_seconds is not an option here, but one of s3box stream\n",
        ),
        (["pack", "memory://x", "--max_records=1k"], 2, "error: --max_records: '1k' must be a whole number, as 1000\n"),
        (
            ["pack", "memory://x", *NAMING, "--max_object_bytes="],
            2,
            "error: max_object_bytes='' is not a size: write bytes, with or without a unit: 100000, 10MB, 64MiB\n",
        ),
        (["pakc"], 2, "error: 'pakc' is not a command: did you mean pack?\n"),
        (
            ["quux"],
            2,
            f"error: 'quux' is not a command: it is one of {', '.join(COMMANDS)}, config, completion, help\n",
        ),
        (
            [],
            2,
            f"error: the command is missing: it is one of {', '.join(COMMANDS)}, config, completion, help; see s3box help\n",
        ),
        (["--help"], 0, ""),
    ],
)
def test_the_command_is_one_that_is_known(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, part: str
) -> None:
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.err == part
    assert ("usage: s3box COMMAND" in captured.out) == (code == 0)
