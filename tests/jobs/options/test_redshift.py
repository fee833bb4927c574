"""Jobs that load what they wrote: tables, lines, report and exit code; and errors before any work."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import apache_beam as beam
import pytest

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.report import RunReport
from beam_s3box.cli.main import main
from beam_s3box.engine.claims import RunClaim
from beam_s3box.jobs.run.job import _end_of
from beam_s3box.jobs.run.load_report import _print_loads, with_loads
from beam_s3box.jobs.run.logging import job_logging
from beam_s3box.jobs.stream import PARSER, prepare
from beam_s3box.jobs.totals.loads import Loads, WriteLoads, loads_key, read_loads
from beam_s3box.jobs.totals.summary import summary_key
from beam_s3box.redshift import LoadFailure, LoadResult
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.jobs.conftest import ROOT, Ended
from tests.redshift.load.conftest import Warehouse, redshift, warehouse

__all__ = ["redshift", "warehouse"]

NAMING = ("--domain_field=d", "--namespace_field=n")
DSN = "--redshift_dsn=redshift://me@127.0.0.1:1/dev?ssl=false"
TO_S3 = ("--destination=s3://box/p", "--redshift_iam_role=default")


@pytest.fixture
def environment(warehouse: Warehouse) -> dict[str, str]:
    keys = warehouse.keys()
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "REDSHIFT_PASSWORD": warehouse.redshift.password,
    }


@pytest.fixture
def into(
    warehouse: Warehouse, environment: Mapping[str, str], records: str, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:  # fmt: skip
    """The backfill of the records in this process, into the stand-in."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, naming: tuple[str, ...] = NAMING) -> Ended:
        begun = time.monotonic()
        code = main(["backfill", f"--input={records}", *naming, *options_of(warehouse), *arguments])
        out, err = capfd.readouterr()
        # one of the records is bad, and a slow machine comes to lines of progress
        expected = ("WARNING dead letters of run", " INFO ")
        said = [line for line in err.splitlines(keepends=True) if not any(text in line for text in expected)]
        return Ended(code, out, "".join(said), time.monotonic() - begun)

    return run


def options_of(warehouse: Warehouse) -> list[str]:
    server, settings = warehouse.redshift, warehouse.settings
    return [
        f"--destination={warehouse.store.root}/{new_token(6)}",
        f"--s3_endpoint_url={settings.endpoint_url}",
        f"--s3_region_name={settings.region}",
        f"--redshift_iam_role={warehouse.role}",
        f"--redshift_dsn=redshift://{server.user}@{server.host}:{server.port}/dev?ssl=false",
    ]


def test_a_table_for_each_stream(into: Callable[..., Ended], warehouse: Warehouse, tmp_path: pathlib.Path) -> None:
    ended = into("--redshift_table=web.{domain}_{namespace}", "--redshift_create_tables", f"--report={tmp_path}/r.json")
    assert ended.code == 1
    assert 'schema "web" does not exist' in ended.err
    warehouse.execute("CREATE SCHEMA web")
    ended = into("--redshift_table=web.{domain}_{namespace}", "--redshift_create_tables", f"--report={tmp_path}/r.json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-4:] == [
        f"15 rows of 1 manifest loaded into web.{name}" for name in ("app_e0", "app_e2", "web_e1", "web_e3")
    ]
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["redshift"]["failures"] == []
    assert sorted(url for load in report["redshift"]["loads"] for url in load["loaded"]) == report["manifests"]
    assert warehouse.rows("SELECT COUNT(*), SUM(i), MIN(n), MAX(d) FROM web.web_e3") == [(15, 15 * 31, "e3", "web")]


def test_one_table_for_all_and_a_failure_is_the_exit_code(
    into: Callable[..., Ended], warehouse: Warehouse, tmp_path: pathlib.Path
) -> None:
    warehouse.execute("CREATE TABLE events (d VARCHAR(9), n VARCHAR(9), i INTEGER)", "CREATE TABLE short (d CHAR(1))")
    assert into("--redshift_table=events").out.splitlines()[-1] == "60 rows of 4 manifests loaded into public.events"
    assert warehouse.rows("SELECT d, n, COUNT(*) FROM events GROUP BY d, n ORDER BY d, n") == [
        ("app", "e0", 15), ("app", "e2", 15), ("web", "e1", 15), ("web", "e3", 15)
    ]  # fmt: skip
    ended = into("--redshift_table=short", f"--report={tmp_path}/r.json")
    assert ended.code == 1
    assert ended.err.startswith("error: loading into public.short failed: COPY of s3://")
    assert "line 1, column d" in ended.err
    assert ended.err.count("\n") == 1
    failure = json.loads((tmp_path / "r.json").read_text())["redshift"]["failures"][0]
    assert (failure["table"], failure["error"], len(failure["manifests"])) == ("public.short", "CopyError", 4)


def test_what_a_failed_load_advises_is_an_option_of_the_job(into: Callable[..., Ended], warehouse: Warehouse) -> None:
    warehouse.execute("CREATE TABLE short (d CHAR(1), i INTEGER)")
    ended = into("--redshift_table=short")
    assert ended.code == 1
    assert "truncate texts with truncatecolumns (--redshift_truncatecolumns), skip such records with " in ended.err
    assert "maxerror (--redshift_maxerror)" in ended.err
    assert into("--redshift_table=short", "--redshift_truncatecolumns").code == 0
    assert warehouse.rows("SELECT d, COUNT(*) FROM short GROUP BY d ORDER BY d") == [("a", 30), ("w", 30)]
    assert into("--redshift_table=pieces", "--redshift_create_tables", "--redshift_exclude=d,n").code == 0
    assert warehouse.rows("SELECT SUM(i) FROM pieces") == [(sum(range(60)),)]
    assert into("--redshift_table=pieces", "--redshift_columns=i", "--redshift_maxerror=2").code == 0
    assert warehouse.rows("SELECT COUNT(*) FROM pieces") == [(120,)]


def test_upsert_and_truncate(into: Callable[..., Ended], warehouse: Warehouse) -> None:
    upsert = ("--redshift_table=events", "--redshift_mode=upsert", "--redshift_keys=i")
    assert into(*upsert, "--redshift_create_tables").code == 0
    assert into(*upsert).code == 0
    assert warehouse.rows("SELECT COUNT(*) FROM events") == [(60,)]
    assert into("--redshift_table=events", "--redshift_mode=truncate").code == 0
    assert warehouse.rows("SELECT COUNT(*) FROM events") == [(60,)]
    assert into("--redshift_table=events").code == 0
    assert warehouse.rows("SELECT COUNT(*) FROM events") == [(120,)]


def test_an_empty_input_leaves_a_table_as_it_is_and_says_so(
    into: Callable[..., Ended], warehouse: Warehouse, records: str
) -> None:
    pathlib.Path(records).write_text("")
    warehouse.execute("CREATE TABLE events (i INTEGER)", "INSERT INTO events VALUES (1)")
    ended = into("--redshift_table=events", "--redshift_mode=truncate")
    assert (ended.code, warehouse.rows("SELECT i FROM events")) == (0, [(1,)])
    said = "nothing was loaded: the run has written no manifest"
    assert ended.out.splitlines()[-1] == f"{said}, so the tables keep the rows that they have"
    assert into("--redshift_table=events").out.splitlines()[-1] == said


def test_a_dry_run_writes_shards_and_prints_statements(into: Callable[..., Ended], warehouse: Warehouse) -> None:
    ended = into("--redshift_table={domain}", "--redshift_create_tables", "--redshift_dry_run")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("CREATE TABLE IF NOT EXISTS") == 2
    assert ended.out.count("\nCOPY ") == 4
    assert not [seen for seen in warehouse.redshift.seen if seen.verb in ("COPY", "CREATE")]
    warehouse.execute("CREATE TABLE events (i INTEGER)")
    for_run = into("--redshift_table=events", "--manifest_scope=run", "--redshift_dry_run")
    assert for_run.out.count("\nCOPY ") == 1


def test_manifests_of_the_run_and_avro(
    into: Callable[..., Ended], warehouse: Warehouse, tmp_path: pathlib.Path
) -> None:
    fields = [{"name": name, "type": ["null", kind]} for name, kind in (("d", "string"), ("n", "string"), ("i", "int"))]
    (tmp_path / "schema.json").write_text(json.dumps({"type": "record", "name": "Event", "fields": fields}))
    avro = ("--format=avro", f"--avro_schema={tmp_path}/schema.json")
    ended = into("--redshift_table=events", "--redshift_create_tables", "--manifest_scope=run", *avro)
    assert (ended.code, ended.err) == (0, "")
    assert warehouse.rows("SELECT d, SUM(i), COUNT(*) FROM events GROUP BY d ORDER BY d") == [
        ("app", sum(range(0, 60, 2)), 30), ("web", sum(range(1, 60, 2)), 30)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--redshift_table=t", *TO_S3], "error: give one of --redshift_dsn"),
        (["--redshift_table=t", DSN, "--destination=memory://m"], "error: --redshift_table needs --destination=s3://"),
        (["--redshift_table=t", DSN, *TO_S3, "--manifest_count=0"], "error: --redshift_table needs manifests"),
        (["--redshift_table=t", DSN, *TO_S3, "--format=json-array"], "error: --redshift_table needs manifests"),
        (
            ["--redshift_table={domain}", DSN, *TO_S3, "--manifest_scope=run"],
            "error: --redshift_table names a table for",
        ),
        (
            ["--redshift_table=beam_s3box_loads", DSN, *TO_S3],
            "error: table='public.beam_s3box_loads' is a ledger",
        ),
        (["--redshift_maxerror=3", *TO_S3[:1]], "error: --redshift_maxerror has no effect without --redshift_table"),
        (["--redshift_table=t", DSN, *TO_S3, "--redshift_maxerror=-1"], "error: maxerror=-1 must be"),
        (["--redshift_table={x}", DSN, *TO_S3], "error: table='{x}' has '{x}'"),
        (["--redshift_table=t", DSN, "--destination=s3://box/p"], "error: iam_role= is missing"),
        (["--redshift_keys=a", *TO_S3[:1]], "error: --redshift_keys has no effect without --redshift_table"),
        (["--redshift_table=t", DSN, *TO_S3, "--redshift_mode=upsert"], "error: keys= is missing"),
        (
            ["--redshift_table=t", "--redshift_dsn=redshift://me:hunter2-secret@h/dev", *TO_S3],
            "error: --redshift_dsn has a password",
        ),
        (["--redshift_table=t", *TO_S3, "--redshift_dry_run"], "error: give one of --redshift_dsn"),
    ],
)
def test_what_can_not_work_ends_before_any_work(
    backfill: Callable[..., Ended], records: str, arguments: list[str], message: str
) -> None:
    ended = backfill(f"--input={records}", *NAMING, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(message)
    assert ended.err.count("\n") == 1
    assert "hunter2" not in ended.err


def test_a_redshift_that_is_not_there_ends_before_any_work(into: Callable[..., Ended], warehouse: Warehouse) -> None:
    ended = into("--redshift_table=nowhere")
    assert ended.code == 2
    assert ended.err.startswith("error: table='public.nowhere' does not exist")
    for made in ([], ["--redshift_create_tables"]):
        ended = into("--redshift_table=clicks", DSN, *made)
        assert ended.code == 2
        assert "connecting to Redshift" in ended.err
    assert list(warehouse.store.list("")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--redshift_mode=truncate"], "mode='truncate' and unbounded input are mutually exclusive"),
        (["--redshift_dry_run"], "--redshift_dry_run needs a job that ends"),
    ],
)
def test_streams_refuse_what_needs_an_end(
    warehouse: Warehouse, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str], arguments: list[str], message: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    job = [f"--input={tmp_path}/*.jsonl", *NAMING, "--runner=PrismRunner", *options_of(warehouse)]
    assert main(["stream", *job, "--redshift_table=clicks", *arguments]) == 2
    assert message in capfd.readouterr().err


def test_a_stream_gets_the_step_and_waits_for_its_loads(
    warehouse: Warehouse, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    options = [f"--input={tmp_path}/*.jsonl", *NAMING, "--runner=FlinkRunner", *options_of(warehouse)]
    with job_logging() as log:
        endless = prepare(PARSER.parse([*options, "--redshift_table=clicks"]), log)
        steps = {"WatchFiles", "ReadStream", "WriteToS3Box", "WriteSummary", "CopyToRedshift"}
        assert tops_of(endless.pipeline) == steps
        drained = prepare(PARSER.parse([*options, "--redshift_table=clicks", "--stop_after=1"]), log)
    assert {"WriteSummary", "CopyToRedshift", "WriteLoads"} <= tops_of(drained.pipeline)
    is_done = _end_of(drained)
    assert is_done is not None
    written = []
    for key in (summary_key(drained.write.transform.claim), loads_key(drained.write.transform.claim)):
        written.append(is_done())
        drained.write.store.put(key, b"[]", sha256=SHA256_OF_BRACKETS, content_type="application/json")
    assert [*written, is_done()] == [False, False, True]


SHA256_OF_BRACKETS = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def tops_of(pipeline: beam.Pipeline) -> set[str]:
    steps = pipeline.to_runner_api().components.transforms.values()
    return {step.unique_name.partition("/")[0] for step in steps if "/" in step.unique_name}


def test_what_was_loaded_is_read_back() -> None:
    store, claim = MemoryStore(new_token(8)), RunClaim(Layout("r"), "attempt")
    done = [
        LoadResult("loaded", "a.b", "append", ("u1",), ("u2",), 3, 1, 2),
        LoadResult("already-loaded", "a.a", "append"),
    ]
    failed = [LoadFailure("a.c", ("u3",), "LoadError", "no")]
    with beam.Pipeline() as pipeline:
        loads, failures = pipeline | "D" >> beam.Create(done), pipeline | "F" >> beam.Create(failed)
        (loads, failures) | WriteLoads(store, claim)
    assert read_loads(store, claim) == Loads(done[::-1], failed)
    assert read_loads(store, claim).unmentioned(["u1", "u2", "u3", "u4"]) == ["u4"]


def test_a_manifest_that_no_load_speaks_of_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    report = RunReport("r", 1, 1, 0, [], ["u1", "u2"])
    loads = Loads([LoadResult("loaded", "a.b", "append", ("u1",), records=1)], [])
    assert _print_loads(report, loads, CommandLog("beam_s3box")) == 1
    assert "not loaded: 1 manifest, the first is u2" in capsys.readouterr().err
    assert json.loads(with_loads(report, loads).to_json())["redshift"]["loads"][0]["table"] == "a.b"


def test_loads_into_one_table_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    done = [
        LoadResult("already-loaded", "a.b", "append", skipped=("u0",)),
        *(LoadResult("loaded", "a.b", "append", (f"u{i}",), records=i) for i in (1, 2)),
    ]
    assert _print_loads(RunReport("r", 1, 1, 0, [], ["u1", "u2"]), Loads(done, []), CommandLog("beam_s3box")) == 0
    assert capsys.readouterr().out == "3 rows of 2 manifests loaded into a.b; 1 manifest loaded before\n"


def test_many_tables_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    loads = Loads([LoadResult("loaded", f"a.t{i}", "append", (f"u{i}",), records=i) for i in range(60)], [])
    assert _print_loads(RunReport("r", 1, 1, 0, [], []), loads, CommandLog("beam_s3box")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[-1]) == (51, f"… and {sum(range(50, 60))} rows loaded into 10 more tables")


def test_no_secret_is_seen_while_a_job_runs(warehouse: Warehouse, environment: Mapping[str, str], records: str) -> None:
    """Its arguments, as the list of processes shows them, its output at debug level, its report."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    secrets = [environment["REDSHIFT_PASSWORD"], environment["AWS_SECRET_ACCESS_KEY"]]
    command = [
        sys.executable, "-m", "pipelines.backfill", f"--input={records}", *NAMING, *options_of(warehouse),
        "--redshift_table=events", "--redshift_create_tables", "--log_level=debug",
    ]  # fmt: skip
    seen: list[bytes] = []
    with subprocess.Popen(
        command, cwd=ROOT, env={**clean, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while True:
            seen.append(command_lines())
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, _ = process.communicate(timeout=0.1)
                break
    assert process.returncode == 0, out
    assert any(b"--redshift_table=events" in lines for lines in seen)
    for secret in secrets:
        assert secret.encode() not in out
        assert not [lines for lines in seen if secret.encode() in lines]


def command_lines() -> bytes:
    """The command lines of this machine's processes that a job may have started."""
    found: list[bytes] = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        found += [text] if b"pipelines.backfill" in text else []
    return b"\n".join(found)


def test_arguments_of_any_kind_are_told(records: str) -> None:
    """The help lists the options, with their defaults."""
    from beam_s3box.jobs.backfill import PARSER as BACKFILL

    for parser in (PARSER, BACKFILL):
        text: Any = parser.help_asked(["--help"])
        assert "--redshift_table SCHEMA.TABLE" in text
        assert "--redshift_dry_run" in text
