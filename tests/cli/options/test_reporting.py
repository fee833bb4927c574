"""Where the totals of a run go: a table, JSON on standard output, a file, S3; and runs that had finished before."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.cli.main import main
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tools.seaweedfs import REGION, Server

NAMING = ("--domain_field=d", "--namespace_field=n")
RECORDS = b"".join(json.dumps({"d": "web", "n": f"e{i % 4}", "i": i}).encode() + b"\n" for i in range(60))
Run = Callable[..., Any]


@pytest.fixture
def place() -> str:
    return f"memory://{new_token(16)}"


@pytest.fixture
def source(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "in.jsonl"
    path.write_bytes(RECORDS)
    return str(path)


@pytest.fixture(params=["pack", "backfill"])
def run(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str], source: str) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        code = main([request.param, f"--input={source}", *NAMING, *arguments])
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("option", ["--report=-", "--json"])
def test_standard_output_may_be_the_report_alone(run: Run, place: str, option: str) -> None:
    code, out, err = run(f"--destination={place}", option)
    assert code == 0
    assert (json.loads(out)["records_in"], json.loads(out)["records_listed"]) == (60, 60)
    assert json.loads(out)["seconds"] > 0
    assert "60 records read = 60 listed" in err


def test_a_quiet_run_prints_nothing(run: Run, place: str) -> None:
    assert run(f"--destination={place}", "--quiet") == (0, "", "")
    code, out, err = run(f"--destination={place}", "--quiet", "--json")
    assert (code, json.loads(out)["records_in"], err) == (0, 60, "")


def test_how_long_it_took_and_how_fast_it_was_is_printed(run: Run, place: str) -> None:
    _, out, _ = run(f"--destination={place}")
    assert " records/s, " in out
    assert "B/s\n" in out


def test_a_report_goes_to_s3(run: Run, s3_server: Server, place: str) -> None:
    key = f"reports/{new_token(8)}.json"
    reach = (
        f"--s3_endpoint_url={s3_server.endpoint_url}",
        f"--s3_region_name={REGION}",
        f"--s3_access_key_id={s3_server.writer.access_key}",
        f"--s3_secret_access_key={s3_server.writer.secret_key}",
    )
    code, out, err = run(f"--destination={place}", f"--report=s3://{s3_server.bucket}/{key}", *reach)
    assert (code, err) == (0, "")
    body = s3_server.client().get_object(Bucket=s3_server.bucket, Key=key)["Body"].read()
    assert json.loads(body)["records_listed"] == 60
    assert "stream" in out
    code, out, err = run(f"--destination={place}2", "--report=s3://no-such-bucket/r.json", *reach)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "report='s3://no-such-bucket/r.json' can't be written" in err
    assert list(MemoryStore(f"{place}2".removeprefix("memory://")).list()) == []


@pytest.mark.parametrize("path", ["{}", "{}/none/r.json", "s3://", "s3://bucket", "s3://bucket/"])
def test_a_report_that_can_not_be_written_is_refused(run: Run, place: str, tmp_path: pathlib.Path, path: str) -> None:
    code, out, err = run(f"--destination={place}", f"--report={path.format(tmp_path)}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: report='")


def test_a_finished_run_is_skipped_where_that_is_asked_for(run: Run, place: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "report.json"
    once = (f"--destination={place}", "--run_id=once")
    assert run(*once, "--if_finished=skip")[0] == 0
    before = list(MemoryStore(place.removeprefix("memory://")).list())
    code, out, err = run(*once, "--if_finished=skip", f"--report={path}", "--input=/gone/*.jsonl")
    assert (code, err) == (0, "")
    assert f"run once to {place} had finished before" in out
    assert "60 records in 4 shards, 4 manifests" in out
    report = json.loads(path.read_text())
    assert (report["records_listed"], report["shards"], len(report["manifests"])) == (60, 4, 4)
    assert list(MemoryStore(place.removeprefix("memory://")).list()) == before
    assert run(*once)[0] == 2
    assert run(*once, "--if_finished=fail")[0] == 2


def test_a_run_that_has_not_finished_is_done(run: Run, place: str) -> None:
    code, _, err = run(
        f"--destination={place}", "--run_id=once", "--if_finished=skip", "--on_bad_record=fail", "--max_record_bytes=5"
    )
    assert code == 1, err
    code, out, _ = run(f"--destination={place}", "--run_id=once", "--if_finished=skip")
    assert code == 0
    assert "60 records read = 60 listed" in out
