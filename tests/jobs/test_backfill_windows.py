"""History lands by event date: a backfill puts records into windows by one of their fields, and the time into keys."""

from __future__ import annotations

import collections
import json
import pathlib
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from beam_s3box.engine.run_record import RunRecord
from beam_s3box.stores import open_store
from tests.jobs.conftest import Ended
from tests.readback import read_back

TAIL = "{run_id}-{origin}-{sequence:05d}-{digest}{extension}"
HIVE = "data/domain={domain}/namespace={namespace}/dt={window_start:%Y-%m-%d}/hour={window_start:%H}/" + TAIL
NAMING = ("--domain_field=d", "--namespace_field=n")
WORKERS = ("--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2")
Run = Callable[..., Any]


def record(i: int) -> dict[str, Any]:
    return {
        "d": "web" if i % 2 else "app",
        "n": f"e {i % 4}",
        "at": f"2024-02-{28 + i % 2}T{i % 24:02d}:30:00Z",
        "i": i,
    }


@pytest.fixture
def history(tmp_path: pathlib.Path) -> str:
    """The path of 200 records of two days, and of four that have no place in time."""
    bad = ['{"d": "web", "n": "e", "i": 1000}', '{"d": "web", "n": "e", "at": "soon", "i": 1001}', "no record", "[]"]
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join([*(json.dumps(record(i)) for i in range(200)), *bad]))
    return str(path)


@pytest.mark.parametrize("runner", [(), WORKERS, ("--workers=2",)], ids=["one", "workers", "pool"])
def test_history_lands_by_event_date(
    backfill: Run, history: str, tmp_path: pathlib.Path, runner: tuple[str, ...]
) -> None:
    place, report_path = tmp_path / "lake", tmp_path / "report.json"
    ended: Ended = backfill(
        *(f"--input={history}", f"--destination={place}", *NAMING, "--timestamp_field=at", "--window=fixed:1h"),
        *(f"--key_template={HIVE}", f"--report={report_path}", *runner),
    )
    assert ended.code == 0, ended.err
    report = json.loads(report_path.read_text())
    assert (report["records_in"], report["records_listed"], report["dead_letters"]) == (204, 200, 4)
    found = read_back(open_store(str(place)))
    assert found.unlisted == []
    for folder, records in found.records.items():
        for one in records:
            day, hour = one["at"].split("T")
            assert folder == f"domain={one['d']}/namespace={one['n'].replace(' ', '%20')}/dt={day}/hour={hour[:2]}"
    assert sorted(one["i"] for one in found.all_records()) == list(range(200))
    reasons = collections.Counter(letter["reason"] for letter in found.dead_letters)
    assert reasons == {"missing-timestamp": 1, "bad-timestamp": 1, "not-json": 1, "not-an-object": 1}
    assert {letter["source"] for letter in found.dead_letters} == {history}
    assert {letter["line"] for letter in found.dead_letters} == {201, 202, 203, 204}


def test_manifests_are_per_window_and_the_record_lists_them(
    backfill: Run, history: str, tmp_path: pathlib.Path
) -> None:
    place = tmp_path / "lake"
    arguments = (f"--input={history}", f"--destination={place}", *NAMING, "--timestamp_field=at", "--window=fixed:1d")
    assert backfill(*arguments, "--run_id=history", "--max_dead_letters=4").code == 0
    store = open_store(str(place))
    record = RunRecord.parse("", store.get("runs/history.json"))
    days = ("20240228T000000Z-20240229T000000Z", "20240229T000000Z-20240301T000000Z")
    assert {manifest.window for manifest in record.manifests} == set(days)
    assert sum(manifest.records for manifest in record.manifests) == 200
    assert all(f"/{manifest.window}/" in manifest.key for manifest in record.manifests)
    assert {folder.rpartition("/")[2] for folder in read_back(store).records} == set(days)


def test_another_reader_takes_the_columns_off_the_keys(backfill: Run, history: str, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "lake"
    arguments = (f"--input={history}", f"--destination={place}", *NAMING, "--timestamp_field=at", "--window=fixed:1h")
    assert backfill(*arguments, f"--key_template={HIVE}").code == 0
    query = (
        "SELECT domain, namespace, CAST(dt AS VARCHAR), CAST(hour AS INT), i "
        "FROM read_json(?, hive_partitioning = true) ORDER BY i"
    )
    rows = duckdb.execute(query, [f"{place}/data/**/*.json.gz"]).fetchall()
    assert rows == [
        (one["d"], one["n"], one["at"][:10], int(one["at"][11:13]), one["i"]) for one in map(record, range(200))
    ]
    back = backfill(
        *(f"--input={place}/data/**/*.json.gz", "--path_columns", f"--destination={tmp_path}/again"),
        *("--domain_field=domain", "--namespace_field=namespace", "--timestamp_field=dt", "--window=fixed:1d"),
    )
    assert back.code == 0
    again = read_back(open_store(f"{tmp_path}/again")).all_records()
    assert {(one["domain"], one["namespace"], one["dt"]) for one in again} == {row[:3] for row in rows}


def test_times_of_other_formats_count_too(backfill: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text("d,n,at,i\nweb,x,1709164800,1\nweb,x,2024-02-29,2\nweb,x,,3\nweb,x,y,z,4\n")
    place = tmp_path / "lake"
    arguments = (f"--input={tmp_path}/a.csv", f"--destination={place}", *NAMING, "--window=fixed:1d")
    assert backfill(*arguments, "--timestamp_field=at", "--max_dead_letters=2").code == 0
    found = read_back(open_store(str(place)))
    assert {folder[-33:-25]: [one["i"] for one in records] for folder, records in found.records.items()} == {
        "20240229": ["1", "2"]
    }
    assert sorted(letter["reason"] for letter in found.dead_letters) == ["bad-timestamp", "csv-row-length"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--timestamp_field=at",), "--timestamp_field='at' needs windows into which records go by it: give --window="),
        (("--window=fixed:1d",), "--window='fixed:1d' needs the field that holds a record's time: give --timestamp_f"),
        (("--window=fixed:1d", "--timestamp_field="), "--timestamp_field='' must be the name of a field"),
        (
            ("--window=sliding:1d:1h", "--timestamp_field=at"),
            "would write every record 24 times: only a stream takes",
        ),
        (("--window=daily", "--timestamp_field=at"), "--window='daily' must be fixed:SECONDS"),
        (("--window=fixed:1d", "--timestamp_field=a\\b"), "--timestamp_field='a\\\\b' can't be used"),
        ((f"--key_template={HIVE}",), "has {window_start}, and the records are in the global window"),
        (
            (f"--key_template={HIVE}", "--window=fixed:1d", "--timestamp_field=at", "--key_template=x"),
            "must use each of",
        ),
    ],
)
def test_what_can_not_work_starts_nothing(
    backfill: Run, history: str, tmp_path: pathlib.Path, options: tuple[str, ...], message: str
) -> None:
    ended = backfill(f"--input={history}", f"--destination={tmp_path}/lake", *NAMING, *options)
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "lake").exists()


def test_a_field_that_no_record_has_fails_the_run_and_says_so(
    backfill: Run, history: str, tmp_path: pathlib.Path
) -> None:
    ended = backfill(
        *(
            f"--input={history}",
            f"--destination={tmp_path}/lake",
            *NAMING,
            "--timestamp_field=time",
            "--window=fixed:1d",
        )
    )
    assert ended.code == 1
    assert "204 of 204 records are dead letters, that is every one: 202 missing-timestamp: no field 'time'" in ended.err
    assert "fields there: d, n, at, i" in ended.err


def test_a_field_of_times_that_is_misspelt_is_told_with_the_one_that_was_meant(
    backfill: Run, history: str, tmp_path: pathlib.Path
) -> None:
    where = (f"--input={history}", f"--destination={tmp_path}/lake", "--window=fixed:1d")
    ended = backfill(*where, *NAMING, "--timestamp_field=att")
    assert ended.code == 1
    assert "no field 'att', or it is null; fields there: d, n, at, i; did you mean 'at'?" in ended.err
