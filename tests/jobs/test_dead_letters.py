"""Dead letters of the jobs: a run of bad records alone fails, and says why and where."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.run_record import RunRecord
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import open_store
from tests.jobs.conftest import Ended
from tests.readback import read_back

NAMING = ("--domain_field=carrier", "--namespace=n")
WORKERS = ("--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2")
GOOD = [json.dumps({"carrier": f"C{i % 3}", "i": i}) for i in range(30)]
Run = Callable[..., Any]


@pytest.fixture
def landing(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.jsonl").write_text("\n".join(GOOD))
    return folder


def read(path: pathlib.Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def ended_with(run: Run, landing: pathlib.Path, *arguments: str) -> tuple[Ended, str]:
    """Return how the job ended, and where it wrote."""
    place = f"{landing.parent}/{new_token(8)}"
    return run(f"--input={landing}/*.jsonl", f"--destination={place}", *arguments), place


@pytest.mark.parametrize("runner", [(), WORKERS, ("--workers=2",)], ids=["one", "workers", "pool"])
def test_a_run_without_any_good_record_fails_and_lists_nothing(
    backfill: Run, landing: pathlib.Path, runner: tuple[str, ...]
) -> None:
    ended, place = ended_with(backfill, landing, "--domain_field=carier", "--namespace=n", *runner)
    assert (ended.code, ended.out) == (1, "")
    assert (
        "the pipeline failed: 30 of 30 records are dead letters, that is every one: 30 missing-stream: no field "
        f"'carier', or it is null; fields there: carrier, i; did you mean 'carrier'? ({landing}/good.jsonl, line 1). "
        "The first begins "
    ) in ended.err
    assert "or accept dead letters with max_dead_letters='100%'" in ended.err
    found = read_back(open_store(place))
    assert (len(found.dead_letters), found.manifests) == (30, {})
    store = open_store(place)
    [info] = [info for info in store.list("runs/") if info.key.count("/") == 1]
    assert RunRecord.parse(info.key, store.get(info.key)).state == "failed"


@pytest.mark.parametrize("runner", [(), WORKERS, ("--workers=2",)], ids=["one", "workers", "pool"])
@pytest.mark.parametrize("manifests", ["--manifest_count=1", "--manifest_count=0"])
def test_a_file_without_any_good_record_fails_the_run(
    backfill: Run, landing: pathlib.Path, runner: tuple[str, ...], manifests: str
) -> None:
    (landing / "mixed.jsonl").write_text("bad\n" * 50 + GOOD[0])
    (landing / "bad.jsonl").write_text("bad\n[1]\n")
    ended, place = ended_with(backfill, landing, *NAMING, manifests, *runner)
    assert ended.code == 1
    assert f"52 of 83 records are dead letters, among them every one of {landing}/bad.jsonl: 51 not-json" in ended.err
    assert read_back(open_store(place)).manifests == {}


@pytest.mark.parametrize(
    ("limit", "rule"),
    [
        ("100%", None),
        ("3", None),
        ("12.5%", None),
        ("2", "more than max_dead_letters=2"),
        ("0", "more than max_dead_letters=0"),
        ("9%", "3 of 33 records are dead letters, more than max_dead_letters='9%'"),
    ],
)
def test_a_limit_is_a_number_or_a_share(
    backfill: Run, landing: pathlib.Path, tmp_path: pathlib.Path, limit: str, rule: str | None
) -> None:
    (landing / "bad.jsonl").write_text("bad\n\nbad\n[1]\n")
    report_path = tmp_path / "report.json"
    ended, place = ended_with(backfill, landing, *NAMING, f"--max_dead_letters={limit}", f"--report={report_path}")
    if rule is not None:
        assert ended.code == 1
        assert rule in ended.err
        assert read_back(open_store(place)).manifests == {}
        return
    assert ended.code == 0
    assert "33 records read = 30 listed + 3 dead letters\n  2 not-json: not JSON: " in ended.out
    assert f"  1 not-an-object: a JSON array, not an object ({landing}/bad.jsonl, line 4)\n" in ended.out
    assert ended.err.count("WARNING dead letters of run") == 2
    report = read(report_path)
    assert report["records_in"] == report["records_listed"] + report["dead_letters"] == 33
    [not_json, array] = report["dead_letter_reasons"]
    assert (not_json["reason"], not_json["records"], not_json["source"], not_json["line"], not_json["example"]) == (
        "not-json", 2, f"{landing}/bad.jsonl", 1, "bad",
    )  # fmt: skip
    assert (array["records"], array["line"]) == (1, 4)
    found = read_back(open_store(place))
    places = [
        (letter["source"], letter["line"], letter["domain"], letter["namespace"]) for letter in found.dead_letters
    ]
    assert sorted(places) == [(f"{landing}/bad.jsonl", line, None, "n") for line in (1, 3, 4)]


def test_a_file_of_rows_without_any_good_one_fails_the_run_and_single_rows_do_not(
    backfill: Run, landing: pathlib.Path
) -> None:
    (landing / "mixed.csv").write_text("carrier,i\nAA,1\nAA,2,3\nBB,4\n")
    ended = backfill(f"--input={landing}/*.csv", f"--destination={landing.parent}/good", *NAMING)
    assert ended.code == 0, ended.err
    assert "3 records read = 2 listed + 1 dead letter\n  1 csv-row-length: " in ended.out
    assert f"({landing}/mixed.csv, line 3)" in ended.out
    (landing / "bad.csv").write_text("carrier,i\nAA,2,3\n")
    ended = backfill(f"--input={landing}/*.csv", f"--destination={landing.parent}/bad", *NAMING)
    assert ended.code == 1
    assert f"2 of 4 records are dead letters, among them every one of {landing}/bad.csv: 2 csv-row-length" in ended.err


def test_what_is_no_limit_ends_before_any_work(backfill: Run, landing: pathlib.Path) -> None:
    ended, place = ended_with(backfill, landing, *NAMING, "--max_dead_letters=some")
    assert ended.code == 2
    assert "max_dead_letters='some' must be a whole number" in ended.err
    assert not pathlib.Path(place).exists()


def test_each_record_of_many_parts_and_workers_is_listed_or_a_dead_letter_with_its_place(
    backfill: Run, landing: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    # larger than a range that one worker reads
    lines = [
        f'{{"carrier":"C","i":{i},"pad":"{"x" * 200}"}}' if i % 3 else f"bad {i} {'x' * 200}" for i in range(80_000)
    ]
    (landing / "large.jsonl").write_text("\n".join(lines))
    report_path = tmp_path / "report.json"
    ended, place = ended_with(backfill, landing, *NAMING, f"--report={report_path}", *WORKERS)
    assert ended.code == 0, ended.err
    report = read(report_path)
    assert report["records_in"] == report["records_listed"] + report["dead_letters"] == 80_030
    assert [reason["records"] for reason in report["dead_letter_reasons"]] == [26_667]
    found = read_back(open_store(place))
    assert len(list(found.all_records())) == report["records_listed"]
    assert len(found.dead_letters) == report["dead_letters"]
    text = (landing / "large.jsonl").read_bytes()
    for letter in found.dead_letters[::500]:
        offset = letter.get("offset", 0)
        begin = text.index(b"\n", offset - 1) + 1 if offset else 0
        assert text[begin:].split(b"\n", letter["line"])[letter["line"] - 1].decode() == letter["raw"]
    assert {letter.get("offset", 0) for letter in found.dead_letters} == {0, 8_388_608, 16_777_216}
