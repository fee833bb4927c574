"""`s3box verify`: which run or manifests, what it prints, and its exit codes."""

from __future__ import annotations

import json
import logging
import pathlib
from collections.abc import Callable

import pytest

from beam_s3box.cli.console.checks import MAX_SHOWN, CheckProgress
from beam_s3box.cli.main import main
from beam_s3box.metrics import MemoryMetrics
from tests.runs.verify.conftest import Said

Verify = Callable[..., Said]


def pack(folder: pathlib.Path, run_id: str, records: int = 60, *more: str) -> pathlib.Path:
    source = folder / f"{run_id}.jsonl"
    source.write_text("".join(json.dumps({"i": n, "d": "web", "n": f"n{n % 2}"}) + "\n" for n in range(records)))
    out = folder / "out"
    options = ["--domain_field=d", "--namespace_field=n", "--max_records=5", "--manifest_count=2", "--quiet", *more]
    assert main(["pack", str(out), f"--input={source}", f"--run_id={run_id}", *options]) == 0
    return out


@pytest.fixture
def out(tmp_path: pathlib.Path) -> pathlib.Path:
    return pack(tmp_path, "r-1")


def first(out: pathlib.Path, pattern: str) -> pathlib.Path:
    return min(out.glob(pattern))


def test_the_newest_run_that_finished(out: pathlib.Path, tmp_path: pathlib.Path, verify: Verify) -> None:
    pack(tmp_path, "r-2", 20)
    assert "run r-2 in file://" in verify(str(out)).out
    assert "run r-1 in file://" in verify(str(out), "--run_id=r-1").out
    assert "run r-1 in file://" in verify(f"{out}/runs/r-1.json").out


def test_as_json(out: pathlib.Path, verify: Verify) -> None:
    found = json.loads(verify(str(out), "--json").out)
    assert (found["run_id"], found["manifests"], found["shards"], found["records"]) == ("r-1", 4, 12, 60)
    assert (found["problem_count"], found["problems"]) == (0, [])
    shard = first(out, "data/**/*.gz")
    shard.unlink()
    said = verify(str(out), "--json")
    found = json.loads(said.out)
    assert said.code == 1
    assert found["problems"] == [{"url": f"file://{shard}", "fault": "does not exist"}]


def test_quiet(out: pathlib.Path, verify: Verify) -> None:
    assert verify(str(out), "--quiet") == Said(0, "", "")
    first(out, "data/**/*.gz").unlink()
    said = verify(str(out), "--quiet")
    assert (said.code, said.out.count("\n")) == (1, 1)


def test_the_first_of_many_problems(tmp_path: pathlib.Path, verify: Verify) -> None:
    out = pack(tmp_path, "r-1", 300)
    for shard in out.glob("data/**/*.gz"):
        shard.unlink()
    said = verify(str(out))
    assert said.code == 1
    assert said.out.count("wrong: ") == MAX_SHOWN
    assert said.out.endswith(f"… and {60 - MAX_SHOWN} more\n")


@pytest.mark.parametrize(
    "manifest",
    [
        "manifests/r-1/web/n0/00000.manifest",
        "{out}/manifests/r-1/web/n0/00000.manifest",
        "file://{out}/manifests/r-1/web/n0/00000.manifest",
        "manifests/r-1/web/n0/*0.manifest",
    ],
)
def test_one_manifest(out: pathlib.Path, verify: Verify, manifest: str) -> None:
    said = verify(str(out), f"--manifest={manifest.format(out=out)}")
    assert said.code == 0, said.out + said.err
    assert "1 manifest, 3 shards, 15 records" in said.out
    listed = json.loads((out / "manifests/r-1/web/n0/00000.manifest").read_text())["entries"][0]["url"]
    for shard in out.glob("data/**/*.gz"):
        if f"file://{shard}" != listed:
            shard.write_bytes(b"not looked at")
            break
    pathlib.Path(listed.removeprefix("file://")).write_bytes(b"damaged")
    said = verify(str(out), f"--manifest={manifest.format(out=out)}", "--quiet")
    assert said.code == 1
    assert f"wrong: {listed} has 7 bytes, not " in said.out


@pytest.mark.parametrize("manifest", ["manifests/r-1", "manifests/r-1/", "manifests/**", "manifests/r-1/web/*/*"])
def test_folders_and_patterns(out: pathlib.Path, verify: Verify, manifest: str) -> None:
    said = verify(str(out), f"--manifest={manifest}")
    assert said.code == 0
    assert "4 manifests, 12 shards, 60 records" in said.out


def test_a_manifest_without_a_record(out: pathlib.Path, verify: Verify) -> None:
    """As others write them: what it says is all that is known."""
    first(out, "runs/*.json").unlink()
    manifest = out / "manifests/r-1/web/n0/00000.manifest"
    document = json.loads(manifest.read_text())
    for entry in document["entries"]:
        del entry["meta"]
    manifest.write_text(json.dumps(document))
    said = verify(str(out), "--manifest=manifests/r-1")
    assert said.code == 0, said.out
    assert "manifests in file://" in said.out
    first(out, "data/web/n0/*.gz").write_bytes(b"no gzip")
    assert verify(str(out), "--manifest=manifests/r-1").code == 1


def test_a_manifest_that_the_run_did_not_write(out: pathlib.Path, verify: Verify) -> None:
    path = out / "manifests/r-1/web/n0/00000.manifest"
    path.with_name("00009.manifest").write_bytes(path.read_bytes())
    said = verify(str(out), "--manifest=manifests/r-1/web/n0/00009.manifest")
    assert said.code == 1
    assert "00009.manifest is not one of the manifests that the run finished with" in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the URL is missing"),
        (("nowhere",), "which does not exist; for a bucket write 's3://nowhere'"),
        (("{out}", "--manifest=x.json"), "matches no manifest below file://"),
        (("{out}", "--manifest=s3://b/x.manifest"), "is not below file://"),
        (("{out}", "--manifest=manifests", "--run_id=r-1"), "--run_id and --manifest are mutually exclusive"),
        (("{out}", "--manifest=manifests", "--source=x"), "--source and --table compare a whole run"),
        (("{out}", "--table=t"), "give one of --redshift_dsn"),
        (("{out}", "--threads=0"), "threads=0"),
        (("{out}/runs/r-1.json", "--run_id=r-2"), "is the record of the run 'r-1'"),
        (("{out}", "--treads=2"), "did you mean --threads"),
    ],
)
def test_what_can_not_work(out: pathlib.Path, verify: Verify, arguments: tuple[str, ...], message: str) -> None:
    said = verify(*(argument.format(out=out) for argument in arguments))
    assert said.code == 2, said.out
    assert message in said.err


def test_manifests_of_two_runs(out: pathlib.Path, tmp_path: pathlib.Path, verify: Verify) -> None:
    pack(tmp_path, "r-2")
    said = verify(str(out), "--manifest=manifests/")
    assert said.code == 2
    assert "manifests of 2 runs" in said.err


def test_json_arrays_and_avro(tmp_path: pathlib.Path, verify: Verify) -> None:
    out = pack(tmp_path, "arrays", 60, "--format=json-array", "--manifest_count=0")
    said = verify(str(out), f"--source={tmp_path}/arrays.jsonl")
    assert said.code == 0, said.out
    assert "0 manifests, 12 shards, 60 records" in said.out


def test_how_far_it_is() -> None:
    counts, now = MemoryMetrics(), [0.0]
    progress = CheckProgress(counts.totals, 10, lambda: now[0])
    counts.count("shards", 4)
    counts.count("records_listed", 1_000)
    counts.count("raw_bytes", 2_000_000)
    now[0] = 2.0
    assert progress.line() == "4 of 10 shards checked · 1,000 records · 2.0 MB · 1.0 MB/s · 2 s · 3 s left"
    assert logging.getLogger().isEnabledFor(logging.WARNING)
