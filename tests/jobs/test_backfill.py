from __future__ import annotations

import gzip
import hashlib
import json
import pathlib
import socket
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.jobs.backfill import PARSER
from beam_s3box.jobs.options.write import write_of
from beam_s3box.jobs.run.job import Job, _report_end
from beam_s3box.jobs.run.logging import JobLog
from beam_s3box.jobs.run.wait import run_to_end
from beam_s3box.jobs.totals.summary import summary_key
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore, Store, open_store
from tools.seaweedfs import REGION, Identity, Server

NAMING = ("--domain_field=d", "--namespace_field=n")
Run = Callable[..., Any]


def read(path: pathlib.Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def lines_listed(store: Store, manifests: list[str]) -> list[dict[str, Any]]:
    """Read the records as COPY would: manifest by manifest, file by file."""
    found = []
    for url in manifests:
        for entry in json.loads(store.get(url.removeprefix(f"{store.root}/")))["entries"]:
            shard = gzip.decompress(store.get(entry["url"].removeprefix(f"{store.root}/")))
            found += [json.loads(line) for line in shard.splitlines()]
    return found


def on_server(server: Server, identity: Identity) -> list[str]:
    return [
        f"--s3_endpoint_url={server.endpoint_url}",
        f"--s3_region_name={REGION}",
        f"--s3_access_key_id={identity.access_key}",
        f"--s3_secret_access_key={identity.secret_key}",
    ]


def test_every_record_is_in_a_listed_shard_or_a_dead_letter(
    backfill: Run, records: str, tmp_path: pathlib.Path
) -> None:
    report_path = tmp_path / "report.json"
    ended = backfill(f"--input={records}", "--destination=memory://whole", *NAMING, f"--report={report_path}")
    assert (ended.code, ended.problems) == (0, "")
    report = read(report_path)
    assert (report["records_in"], report["records_listed"], report["dead_letters"]) == (61, 60, 1)
    streams = [(stream["domain"], stream["namespace"], stream["records"]) for stream in report["streams"]]
    assert streams == [("app", "e0", 15), ("app", "e2", 15), ("web", "e1", 15), ("web", "e3", 15)]
    assert report["manifests"] == [url for stream in report["streams"] for url in stream["manifests"]]
    found = lines_listed(open_store("memory://whole"), report["manifests"])
    assert sorted(line["i"] for line in found) == list(range(60))
    assert "61 records read = 60 listed + 1 dead letter" in ended.out
    assert f"dead letters memory://whole/dead-letters/{report['run_id']}/" in ended.out


def test_limits_and_manifests_over_the_run(backfill: Run, records: str, tmp_path: pathlib.Path) -> None:
    limits = tmp_path / "limits.json"
    limits.write_text('{"web/*": {"max_records": 4}}')
    report_path = tmp_path / "report.json"
    ended = backfill(
        f"--input={records}",
        "--destination=memory://run",
        *NAMING,
        f"--limits={limits}",
        "--max_records=10",
        "--manifest_count=3",
        "--manifest_scope=run",
        f"--report={report_path}",
    )
    assert ended.code == 0
    report = read(report_path)
    assert [stream["shards"] for stream in report["streams"]] == [2, 2, 4, 4]
    assert [stream["manifests"] for stream in report["streams"]] == [[], [], [], []]
    assert len(report["manifests"]) == 3
    assert len(lines_listed(open_store("memory://run"), report["manifests"])) == report["records_listed"] == 60


@pytest.mark.parametrize("choice", ["--format=json-array", "--manifest_count=0"])
def test_without_manifests_what_is_in_shards_counts_as_listed(
    backfill: Run, records: str, tmp_path: pathlib.Path, choice: str
) -> None:
    report_path = tmp_path / "report.json"
    ended = backfill(f"--input={records}", f"--destination={tmp_path}/out", *NAMING, choice, f"--report={report_path}")
    assert ended.code == 0
    report = read(report_path)
    assert (report["records_listed"], report["manifests"]) == (60, [])
    assert not (tmp_path / "out" / "manifests").exists()


def test_input_without_records_is_a_run_of_nothing(backfill: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    report_path = tmp_path / "report.json"
    ended = backfill(f"--input={tmp_path}/*.jsonl", f"--destination={tmp_path}/out", *NAMING, f"--report={report_path}")
    assert ended.code == 0
    report = read(report_path)
    assert (report["records_in"], report["streams"], report["manifests"]) == (0, [], [])


def test_files_of_several_patterns_and_formats(backfill: Run, records: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "more.csv").write_text("d,n,i\nweb,e1,100\n")
    with gzip.open(tmp_path / "more.jsonl.gz", "wt") as file:
        file.write('{"d": "web", "n": "e1", "i": 101}\n')
    ended = backfill(
        f"--input={tmp_path}/*.jsonl",
        f"--input={records}",
        f"--input={tmp_path}/*.jsonl.gz",
        f"--input={tmp_path}/*.csv",
        "--destination=memory://files",
        *NAMING,
    )
    assert ended.code == 0
    assert "63 records read = 62 listed + 1 dead letter" in ended.out


def test_a_bad_record_fails_the_run_where_that_is_asked_for(
    backfill: Run, records: str, tmp_path: pathlib.Path
) -> None:
    ended = backfill(f"--input={records}", f"--destination={tmp_path}/out", *NAMING, "--on_bad_record=fail")
    assert ended.code == 1
    assert ended.err.startswith("error: the pipeline failed: not-json: ")
    assert "on_bad_record='dead_letter'" in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out" / "manifests").exists()


def test_a_write_that_fails_later_is_printed_in_one_line(backfill: Run, records: str, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "data").write_text("a file where a folder must be")
    ended = backfill(f"--input={records}", f"--destination={out}", *NAMING)
    assert (ended.code, ended.out) == (1, "")
    assert ended.problems.startswith("error: the pipeline failed: ")
    assert f"{out}/data" in ended.problems
    assert "while running" not in ended.problems
    assert ended.problems.count("\n") == 1
    assert not (out / "manifests").exists()


def test_the_traceback_of_a_failure_is_shown_at_debug(backfill: Run, records: str) -> None:
    ended = backfill(
        f"--input={records}", "--destination=memory://debug", *NAMING, "--on_bad_record=fail", "--log_level=debug"
    )
    assert ended.code == 1
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.splitlines()[-1].startswith("error: the pipeline failed: not-json")


def test_a_run_id_is_used_once(backfill: Run, records: str) -> None:
    arguments = [f"--input={records}", "--destination=memory://twice", *NAMING, "--run_id=once"]
    assert backfill(*arguments).code == 0
    ended = backfill(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: run_id='once' already finished a run below memory://twice")


def test_a_job_that_fails_after_its_run_has_finished_says_so(
    backfill: Run, records: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*given: Any, **named: Any) -> None:
        run_to_end(*given, **named)
        raise TimeoutError("no answer")

    monkeypatch.setattr("beam_s3box.jobs.run.job.run_to_end", lost)
    ended = backfill(f"--input={records}", "--destination=memory://ended", *NAMING, "--run_id=ended")
    assert ended.code == 1
    assert ended.problems == (
        "error: the pipeline failed: TimeoutError: no answer; run ended had finished before that, and what it lists "
        "counts: another run of the same records would list them a second time\n"
    )


def test_help_costs_nothing(backfill: Run) -> None:
    ended = backfill("--help")
    assert ended.code == 0
    assert ended.out.startswith("usage: s3box backfill")


def test_worker_processes_and_totals_agree(
    backfill: Run, records: str, tmp_path: pathlib.Path, s3_server: Server
) -> None:
    report_path = tmp_path / "report.json"
    prefix = new_token(12)
    ended = backfill(
        f"--input={records}",
        f"--destination=s3://{s3_server.bucket}/{prefix}",
        *NAMING,
        *on_server(s3_server, s3_server.writer),
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
        f"--report={report_path}",
    )
    assert (ended.code, ended.problems) == (0, "")
    report = read(report_path)
    assert (report["records_in"], report["records_listed"], report["dead_letters"]) == (61, 60, 1)
    listed = s3_server.client().list_objects_v2(Bucket=s3_server.bucket, Prefix=f"{prefix}/manifests/")["Contents"]
    manifests = [f"s3://{s3_server.bucket}/{entry['Key']}" for entry in listed]
    assert manifests == report["manifests"]


def test_from_s3_to_s3_in_a_process_of_its_own(backfill_process: Run, records: str, s3_server: Server) -> None:
    s3_server.client().upload_file(records, s3_server.bucket, "input/records.jsonl")
    keys = {"AWS_ACCESS_KEY_ID": s3_server.writer.access_key, "AWS_SECRET_ACCESS_KEY": s3_server.writer.secret_key}
    ended = backfill_process(
        f"--input=s3://{s3_server.bucket}/input/*.jsonl",
        f"--destination=s3://{s3_server.bucket}/from-s3",
        *NAMING,
        env={**keys, "AWS_ENDPOINT_URL": s3_server.endpoint_url, "AWS_REGION": REGION},
    )
    assert (ended.code, ended.problems) == (0, "")
    assert "61 records read = 60 listed + 1 dead letter" in ended.out


def test_a_typo_ends_the_process_at_once(backfill_process: Run) -> None:
    ended = backfill_process("--input=x", "--destination=memory://x", "--max_objct_bytes=10MB")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: --max_objct_bytes is not an option: did you mean --max_object_bytes?\n"
    assert ended.seconds < 100  # with others on the machine; a retried call would take 120


def test_a_closed_port_ends_the_process_soon(backfill_process: Run, records: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        ended = backfill_process(
            f"--input={records}",
            "--destination=s3://box/x",
            *NAMING,
            f"--s3_endpoint_url=http://127.0.0.1:{port}",
            env={"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-of-nobody", "AWS_REGION": REGION},
        )
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "nothing answers there" in ended.err
    assert ended.seconds < 100  # alone on a machine it takes 2, and 120 if it were retried


@pytest.mark.parametrize(
    ("destination", "who", "part"),
    [
        ("s3://no-such-bucket/x", "writer", "no such bucket"),
        ("s3://box/x", "reader", "AccessDenied"),
        ("s3://box/x", "nobody", "SignatureDoesNotMatch"),
    ],
)
def test_a_destination_that_refuses_is_printed_in_one_line(
    backfill: Run, records: str, s3_server: Server, destination: str, who: str, part: str
) -> None:
    nobody = Identity(s3_server.writer.access_key, "a-wrong-secret-key")
    identity = nobody if who == "nobody" else getattr(s3_server, who)
    ended = backfill(f"--input={records}", f"--destination={destination}", *NAMING, *on_server(s3_server, identity))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert part in ended.err
    assert identity.secret_key not in ended.err
    assert ended.seconds < 100  # it is not retried, which would take 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input=/none/*.jsonl"], "error: input='/none/*.jsonl' matches no file"),
        (["--input=/none/a.jsonl", "--max_object_bytes=10XB"], "error: max_object_bytes='10XB' is not a size"),
        (["--input=/none/a.jsonl", "--max_object_bytes=1"], "error: max_object_bytes=1 must be a whole number"),
        (["--input=/none/a.jsonl", "--runner=NoRunner"], "error: input='/none/a.jsonl'"),
        (["--input=/none/a.jsonl", "--report=/none/r.json"], "error: report='/none/r.json' can't be written"),
    ],
)
def test_what_can_not_work_ends_before_any_work(backfill: Run, arguments: list[str], message: str) -> None:
    ended = backfill("--destination=memory://never", *NAMING, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(message)
    assert ended.err.count("\n") == 1
    assert list(MemoryStore("never").list()) == []


def test_an_unknown_runner_is_refused(backfill: Run, records: str) -> None:
    ended = backfill(f"--input={records}", "--destination=memory://never", *NAMING, "--runner=NoRunner")
    assert ended.code == 2
    assert ended.err.startswith("error: --runner=NoRunner can't be used")


def test_records_that_are_missing_fail_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    summary = {"run_id": "r", "records_listed": 4, "dead_letters": 0, "streams": [], "manifests": []}
    write = write_of(PARSER.parse(["--destination=memory://missing", "--domain=d", "--namespace=n", "--run_id=r"]))
    body = orjson.dumps(summary | {"read": {"records_read": 5}})
    write.transform.claim = RunClaim(Layout("r"), "attempt")
    write.store.put(
        summary_key(write.transform.claim),
        body,
        sha256=hashlib.sha256(body).hexdigest(),
        content_type="application/json",
    )
    assert _report_end(Job(None, write), None, JobLog()) == 1
    assert "error: records are missing or duplicated: 5 records read ≠ 4 listed" in capsys.readouterr().err
