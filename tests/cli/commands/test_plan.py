"""`plan`: what it estimates is what `pack` then writes, and what it reads is all that it does."""

from __future__ import annotations

import csv
import gzip
import json
import pathlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from beam_s3box.cli.main import main
from beam_s3box.jobs.read import sample as sample_module
from beam_s3box.jobs.read.files import Reading, ranges_of
from beam_s3box.jobs.read.find import find_input
from beam_s3box.jobs.read.input_files import NO_OPTIONS
from beam_s3box.shards.runs import new_token
from beam_s3box.sizes import KiB
from tools.seaweedfs import Server

NAMING = ("--domain_field=d", "--namespace_field=n")
Run = Callable[..., Any]


def rows(number: int, streams: int = 60, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield records of streams of very different sizes."""
    source = random.Random(seed)
    names = [f"e{one:03d}" for one in range(streams)]
    weights = [1 / (one + 1) ** 1.2 for one in range(streams)]
    for at, name in enumerate(source.choices(names, weights, k=number)):
        words = " ".join(source.choices(names, k=source.randrange(4, 20)))
        yield {"d": "web", "n": name, "i": at, "token": f"{source.getrandbits(48):012x}", "words": words}


def write_files(folder: pathlib.Path, kind: str, number: int = 40_000, files: int = 3) -> str:
    """Write records in files of a kind, and return the pattern that matches them."""
    found = list(rows(number))
    for at in range(files):
        part = found[at * number // files : (at + 1) * number // files]
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in part)
        path = folder / f"part-{at}.{kind}"
        if kind == "jsonl":
            path.write_bytes(lines)
        elif kind == "jsonl.gz":
            path.write_bytes(gzip.compress(lines, 1))
        elif kind == "parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), path, row_group_size=2_000)
        else:
            with path.open("w", newline="") as text:
                writer = csv.DictWriter(text, list(part[0]))
                writer.writeheader()
                writer.writerows(part)
    return f"{folder}/part-*.{kind}"


@pytest.fixture
def plan(capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """`plan --json` in this process; it must succeed."""

    def run(*arguments: str) -> dict[str, Any]:
        assert main(["plan", *NAMING, "--json", *arguments]) == 0
        out, err = capfd.readouterr()
        assert err == ""
        values: dict[str, Any] = json.loads(out)
        return values

    return run


@pytest.fixture
def packed(capfd: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> Callable[..., dict[str, Any]]:
    """The report of a real `pack` or `backfill`."""

    def run(command: str, *arguments: str) -> dict[str, Any]:
        report = tmp_path / "report.json"
        assert main([command, f"--destination={tmp_path}/out", *NAMING, f"--report={report}", *arguments]) == 0
        capfd.readouterr()
        values: dict[str, Any] = json.loads(report.read_text())
        return values

    return run


def by_stream(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["namespace"]: row for row in values["streams"]}


@pytest.mark.parametrize(
    "limits",
    [
        ["--max_object_bytes=32KiB"],
        ["--max_records=700"],
        ["--max_raw_bytes=100KB", "--manifest_count=3"],
        ["--format=json-array"],
    ],
)
def test_of_input_that_is_read_whole_nothing_differs(
    plan: Run, packed: Run, tmp_path: pathlib.Path, limits: list[str]
) -> None:
    pattern = write_files(tmp_path, "jsonl", 20_000)
    (tmp_path / "part-9.jsonl").write_text('{"d":"web"}\nno record\n{"d":"web","n":"e000","i":1}\n')
    planned = plan(f"--input={pattern}", *limits)
    written = packed("pack", f"--input={pattern}", *limits)
    assert planned["exact"] is True
    for name, row in by_stream(written).items():
        found = by_stream(planned)[name]
        assert found["records"] == row["records"]
        # where a segment is cut depends on when the one before was compressed: some bytes more or less
        assert found["object_bytes"] == pytest.approx(row["object_bytes"], rel=0.002)
        assert found["shards"] == pytest.approx(row["shards"], rel=0.02)
        assert found["manifests"] == len(row["manifests"])
    assert planned["dead_letters"] == {"missing-stream": 1, "not-json": 1}
    assert planned["manifests"] == len(written["manifests"])


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "parquet", "csv"])
def test_a_sample_is_close(
    plan: Run, packed: Run, tmp_path: pathlib.Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as large files are read, at a scale that a test can write
    monkeypatch.setattr(sample_module, "_PIECE_BYTES", 32 * KiB)
    monkeypatch.setattr(sample_module, "_WHOLE_BYTES", 64 * KiB)
    monkeypatch.setattr("beam_s3box.jobs.read.files._SPLIT_BYTES", 64 * KiB)
    monkeypatch.setattr(sample_module, "_READ_BYTES", 4 * KiB)
    pattern = write_files(tmp_path, kind)
    limits = ["--max_object_bytes=24KiB"]
    planned = plan(f"--input={pattern}", "--sample_bytes=800KB", *limits)
    written = packed("backfill", f"--input={pattern}", *limits)
    assert planned["exact"] is False
    assert planned["input"]["sampled_bytes"] < planned["input"]["bytes"] / 2
    real = {
        "records": written["records_in"],
        "raw_bytes": sum(row["raw_bytes"] for row in written["streams"]),
        "object_bytes": sum(row["object_bytes"] for row in written["streams"]),
        "shards": sum(row["shards"] for row in written["streams"]),
        "manifests": len(written["manifests"]),
    }
    estimated = {name: planned[name] for name in real}
    assert estimated == {name: pytest.approx(value, rel=0.12) for name, value in real.items()}
    # those that matter one by one, too
    for row in sorted(written["streams"], key=lambda row: -row["object_bytes"])[:5]:
        found = by_stream(planned)[row["namespace"]]
        assert found["shards"] == pytest.approx(row["shards"], rel=0.25, abs=1)
        assert found["object_bytes"] == pytest.approx(row["object_bytes"], rel=0.25)


def test_streams_that_the_sample_misses_are_counted(
    plan: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module, "_PIECE_BYTES", 16 * KiB)
    source = random.Random(2)
    lines = [json.dumps({"d": "web", "n": f"s{source.randrange(3_000)}", "i": at}) for at in range(30_000)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(sample_module, "_WHOLE_BYTES", 32 * KiB)
    monkeypatch.setattr("beam_s3box.jobs.read.files._SPLIT_BYTES", 32 * KiB)
    planned = plan(f"--input={tmp_path}/a.jsonl", "--sample_bytes=200KB")
    seen = len(planned["streams"])
    assert seen < 2_700
    assert seen + planned["unseen_streams"] == pytest.approx(3_000, rel=0.15)
    assert planned["shards"] == pytest.approx(3_000, rel=0.15)


def test_pieces_are_spread_over_all_files(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(40):
        (tmp_path / f"{at:02d}.jsonl").write_bytes(b'{"d":"a","n":"b"}\n' * (at + 1) * 50)
    files = list(find_input([f"{tmp_path}/*.jsonl"], NO_OPTIONS))
    reading = Reading(NO_OPTIONS)
    total = sum(file.size for file in files)
    pieces = sample_module._pieces(files, reading, total)
    first = [next(pieces).part.path for _ in range(12)]
    assert len(set(first)) == 12
    assert {path[-8] for path in first} >= {"1", "2", "3"}, "and from all over them, by their size"
    assert len(first) + len(list(pieces)) <= 40, "each once, and then it ends"
    assert list(ranges_of(files[0], reading))


def test_other_limits_are_shown_next_to_the_given_one(plan: Run, tmp_path: pathlib.Path) -> None:
    pattern = write_files(tmp_path, "jsonl", 20_000)
    planned = plan(f"--input={pattern}", "--max_object_bytes=16KiB")
    others = planned["alternatives"]
    assert [one["value"] for one in others if one["chosen"]] == [16 * KiB]
    assert [one["shards"] for one in others] == sorted((one["shards"] for one in others), reverse=True)
    assert others[-1]["shards"] == len(planned["streams"])
    assert "raise --max_object_bytes" in planned["warnings"][0]


def test_windows_have_a_price_and_a_freshness(plan: Run, tmp_path: pathlib.Path) -> None:
    pattern = write_files(tmp_path, "jsonl", 20_000)
    arguments = [f"--input={pattern}", "--arrives_in=1d", "--window=fixed:5m", "--max_seconds=5m"]
    planned = plan(*arguments, "--put_price=10", "--get_price=0", "--storage_price=0")
    assert planned["listed_within"] == [150, 300]
    assert planned["run_dollars"] == pytest.approx(planned["put_requests"] / 100, rel=1e-3)
    assert planned["month_dollars"] == pytest.approx(30 * planned["run_dollars"])
    assert [one["value"] for one in planned["alternatives"]] == [60, 300, 900, 3_600, 86_400]
    by_run = plan(*arguments, "--manifest_scope=run")
    assert by_run["manifests"] == 288
    assert any("smaller than 1 MB" in text for text in planned["warnings"])
    assert any("--manifest_scope=run" in text for text in planned["warnings"])


def test_the_table(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    pattern = write_files(tmp_path, "jsonl", 5_000)
    (tmp_path / "part-8.jsonl").write_text('{"d":"\\u001b[31mred","n":"\\u202e\\n"}\n')
    assert main(["plan", *NAMING, f"--input={pattern}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("all of the input was read: 4 files, ")
    assert "… and 41 more" in out
    assert "records are listed when the run finishes" in out
    assert "$0.005 for 1,000 that write" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    (tmp_path / "part-8.jsonl").unlink()
    assert main(["plan", *NAMING, f"--input={pattern}", "--sample_bytes=100KB", "--arrives_in=1d"]) == 0
    out = capsys.readouterr().out
    assert "a sample was read: " in out
    assert "fixed:60 (given)" in out
    assert "a record is listed 30 s after it arrives, at most 1 min 0 s" in out


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--domain_field=dd", "no field 'dd', or it is null; fields there: d, n, user; did you mean 'd'?"),
        ("--domain_field=user.nam", "fields there: d, n, user; did you mean 'user.name'?"),
    ],
)
def test_a_field_that_is_not_there_is_told_as_by_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, option: str, hint: str
) -> None:
    (tmp_path / "a.jsonl").write_text('{"d":"web","n":"a","user":{"name":"Ann"}}\n')
    assert main(["plan", option, "--namespace_field=n", f"--input={tmp_path}/a.jsonl"]) == 0
    assert hint in capsys.readouterr().out


def test_objects_are_read_and_nothing_is_written(plan: Run, s3_server: Server) -> None:
    client = s3_server.client(s3_server.writer)
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows(2_000))
    bucket, prefix = s3_server.bucket, f"in-{new_token(8)}/"
    client.put_object(Bucket=bucket, Key=f"{prefix}a.jsonl", Body=body)
    keys = [
        f"--s3_endpoint_url={s3_server.endpoint_url}",
        f"--s3_access_key_id={s3_server.writer.access_key}",
        f"--s3_secret_access_key={s3_server.writer.secret_key}",
    ]
    assert plan(f"--input=s3://{bucket}/{prefix}*.jsonl", *keys)["records"] == 2_000
    found = client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert [entry["Key"] for entry in found] == [f"{prefix}a.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--input is missing"),
        (["--input=/none/*.jsonl"], "input='/none/*.jsonl' matches no file"),
        (["--input=x", "--sample_bytes=much"], "sample_bytes='much' is not a size"),
        (["--input=x", "--put_price=-1"], "put_price=-1.0 must be a number of at least 0"),
        (["--input=x", "--put_price=nan"], "put_price=nan must be a number of at least 0"),
        (["--input=x", "--arrives_in=30"], "arrives_in=30 s must be at least the window, 60 s"),
        (["--input=x", "--window=hourly"], "--window='hourly' must be fixed:SECONDS"),
        (["--input=x", "--arives_in=1d"], "--arives_in is not an option: did you mean --arrives_in?"),
    ],
)
def test_what_can_not_work(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["plan", *NAMING, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")
