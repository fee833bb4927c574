"""`copy-sql` and `create-table`: statements for a manifest, and nothing else on standard output."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from beam_s3box.box import S3Box
from beam_s3box.cli.commands.sql import COPY_PARSER, CREATE_PARSER, run_copy_sql, run_create_table
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.main import main
from beam_s3box.formats import JSON_LINES, AvroFormat, Format
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, open_store
from tests.cli.conftest import ROOT, Ended
from tools.seaweedfs import REGION, Server

ROLE = "arn:aws:iam::123456789012:role/loader"
RECORDS: list[dict[str, object]] = [
    {"id": 1, "order": "a", "at": "2026-01-01T00:00:00Z"},
    {"id": 2, "order": None, "tags": ["x"]},
]


def write(destination: object, records: list[dict[str, object]], format: Format = JSON_LINES) -> str:
    with S3Box(destination, domain="d", namespace="n", format=format) as box:  # type: ignore[arg-type]
        box.pack_many(records)
        box.seal()
        return box.url(box.create_manifests("m", 1)[0])


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    return write(tmp_path, RECORDS)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(name: str, *arguments: str) -> Ended:
        command = {"copy-sql": run_copy_sql, "create-table": run_create_table}[name]
        return Ended(command(arguments, CommandLog("beam_s3box")), *capfd.readouterr())

    return run


def test_a_table_from_a_manifest(run: Callable[..., Ended], manifest: str) -> None:
    ended = run(
        "create-table", manifest, "--redshift_table=web.page", "--redshift_dist_key=id", "--redshift_sort_keys=at,id"
    )
    assert ended == Ended(
        0,
        """\
CREATE TABLE IF NOT EXISTS "web"."page" (
  "id" BIGINT,
  "order" VARCHAR(256),
  "at" TIMESTAMPTZ,
  "tags" SUPER
)
DISTKEY ("id")
SORTKEY ("at", "id");
""",
        "",
    )


def test_columns_that_are_named_are_not_looked_up(run: Callable[..., Ended]) -> None:
    ended = run(
        "copy-sql", "s3://lake/x.manifest", "--redshift_table=web.page", f"--redshift_iam_role={ROLE}", "--redshift_columns=id, order",
        "--s3_region_name=eu-central-1", "--redshift_maxerror=3", "--redshift_compupdate=preset", "--redshift_statupdate=default", "--redshift_noload",
        "--redshift_truncatecolumns", "--redshift_acceptinvchars=?",
    )  # fmt: skip
    assert ended == Ended(
        0,
        f"""\
COPY "web"."page" ("id", "order")
FROM 's3://lake/x.manifest'
IAM_ROLE '{ROLE}'
REGION 'eu-central-1'
MANIFEST
FORMAT AS JSON 'auto' GZIP
TIMEFORMAT 'auto'
DATEFORMAT 'auto'
TRUNCATECOLUMNS
NOLOAD
ACCEPTINVCHARS '?'
MAXERROR 3
COMPUPDATE PRESET;
""",
        "",
    )


def on_s3(server: Server, records: list[dict[str, object]]) -> tuple[str, list[str]]:
    """Return a manifest on the real server, and the options that reach it."""
    settings = S3Settings(endpoint_url=server.endpoint_url, region=REGION)
    store = open_store(f"s3://{server.bucket}/{new_token(8)}", settings, server.writer)
    keys = server.writer()
    return write(store, records), [
        f"--s3_endpoint_url={server.endpoint_url}",
        f"--s3_access_key_id={keys.access_key}",
        f"--s3_secret_access_key={keys.secret_key}",
        f"--s3_region_name={REGION}",
    ]


def test_columns_come_from_the_shards_on_s3(run: Callable[..., Ended], s3_server: Server) -> None:
    url, reaching = on_s3(s3_server, [{"Id": 1, "user": "x"}, {"user": "y", "secret": 1}])
    options = [url, "--redshift_table=web.page", "--redshift_iam_role=default", *reaching]
    ended = run("copy-sql", *options, "--redshift_exclude=secret")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[:3] == ['COPY "web"."page" ("id", "user")', f"FROM '{url}'", "IAM_ROLE default"]
    assert "FORMAT AS JSON 'auto ignorecase' GZIP" in ended.out
    assert run("copy-sql", *options, "--redshift_sample=1").out.startswith('COPY "web"."page" ("id", "user")\n')
    refused = run("copy-sql", *options, "--redshift_mapping=auto")
    assert refused.code == 2
    assert "--redshift_mapping=auto would leave columns empty" in refused.err
    assert s3_server.writer().secret_key not in ended.out + ended.err


@pytest.mark.parametrize("command", ["copy-sql", "create-table"])
def test_a_manifest_that_is_not_there_is_a_failure(run: Callable[..., Ended], command: str, s3_server: Server) -> None:
    _, reaching = on_s3(s3_server, RECORDS)
    role = ["--redshift_iam_role=default"] if command == "copy-sql" else []
    ended = run(command, f"s3://{s3_server.bucket}/none.manifest", "--redshift_table=t", *role, *reaching)
    assert (ended.code, ended.out) == (1, "")
    assert "none.manifest" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the manifest is missing"),
        (["s3://b/m"], "--redshift_table is missing"),
        (["s3://b/m", "--redshift_table=t", "--redshift_columns=a"], "iam_role= is missing"),
        (["s3://b/m", "--redshift_table=a.b.c.d", "--redshift_columns=a", "--redshift_iam_role=default"], "table='a.b.c.d'"),
        (["s3://b/m", "--redshift_table=t", "--redshift_columns=a", "--redshift_iam_role=x"], "iam_role='x' must"),
        (["s3://b/m", "--redshift_table=t", "--redshift_columns=a", "--redshift_iam_role=default", "--redshift_maxerror=-1"], "maxerror=-1"),
        (["s3://b/m", "--redshift_table=t", "--redshift_columns=a,A", "--redshift_iam_role=default"], "one column to Redshift"),
        (["s3://b/m", "--redshift_table=t", "--redshift_mapping=noshred", "--redshift_iam_role=default"], "columns=[] must name"),
        (["s3://b/m", "--redshift_table=t", "--redshift_mapping=s3://b/paths", "--redshift_iam_role=default"], "columns=[]"),
        (["s3://b/m", "--redshift_tabel=t"], "did you mean --redshift_table?"),
        (["s3://b/m", "--redshift_table=t", "--format=json-array"], "--format"),
        (["m.manifest", "--redshift_table=t", "--redshift_columns=a", "--redshift_iam_role=default"], "'m.manifest' must be the manifest's"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_by_the_name_of_its_option(
    run: Callable[..., Ended], arguments: list[str], message: str
) -> None:
    ended = run("copy-sql", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert message in ended.err


def test_keys_that_clash_are_refused_with_the_way_out(run: Callable[..., Ended], tmp_path: Path) -> None:
    url = write(tmp_path, [{"id": 1}, {"Id": 2}])
    ended = run("create-table", url, "--redshift_table=t")
    assert ended.code == 2
    assert "exclude it (--redshift_exclude), or ignore the case (--redshift_ignore_case) and load with" in ended.err
    assert '"id" BIGINT' in run("create-table", url, "--redshift_table=t", "--redshift_ignore_case").out


def test_avro_shards_have_tables_and_copies_too(run: Callable[..., Ended], s3_server: Server, tmp_path: Path) -> None:
    schema = {
        "type": "record",
        "name": "E",
        "fields": [{"name": "Id", "type": "long"}, {"name": "t", "type": "string"}],
    }
    json_lines, reaching = on_s3(s3_server, RECORDS)
    store = open_store(
        f"s3://{s3_server.bucket}/{new_token(8)}",
        S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION),
        s3_server.writer,
    )
    url = write(store, [{"Id": 1, "t": "x"}], AvroFormat(schema))
    made = run("create-table", url, "--redshift_table=t", "--redshift_exclude=t", *reaching)
    assert made == Ended(0, 'CREATE TABLE IF NOT EXISTS "t" (\n  "id" BIGINT\n);\n', "")
    copy = ["copy-sql", url, "--redshift_table=t", "--redshift_iam_role=default", *reaching]
    printed = run(*copy, "--format=avro")
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.startswith('COPY "t" ("id", "t")\n')
    assert "FORMAT AS AVRO 'auto ignorecase'" in printed.out
    refused = run(*copy)
    assert (refused.code, refused.out) == (2, "")
    assert "not of the format json-lines: give format=avro (--format=avro)" in refused.err
    refused = run("copy-sql", json_lines, *copy[2:], "--format=avro")
    assert "not of the format avro: give format=json-lines (--format=json-lines)" in refused.err


@pytest.mark.parametrize("command", ["copy-sql", "create-table"])
def test_a_table_that_is_a_ledger_is_refused(run: Callable[..., Ended], command: str) -> None:
    ended = run(command, "s3://b/m", "--redshift_table=Public.Beam_S3Box_Loads")
    assert (ended.code, ended.out) == (2, "")
    assert "is a ledger" in ended.err


def test_a_key_that_is_no_name_is_left_out_as_the_error_says(run: Callable[..., Ended], tmp_path: Path) -> None:
    """As pandas writes the index of a frame: a column without a name."""
    url = write(tmp_path, [{"": "0", " x": 1, "name": "Ann"}])
    refused = run("create-table", url, "--redshift_table=t")
    assert refused.code == 2
    assert "the key ''" in refused.err
    assert "(--redshift_exclude)" in refused.err
    made = run("create-table", url, "--redshift_table=t", "--redshift_exclude=, x")
    assert made == Ended(0, 'CREATE TABLE IF NOT EXISTS "t" (\n  "name" VARCHAR(256)\n);\n', "")


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    for name, parser in (("copy-sql", COPY_PARSER), ("create-table", CREATE_PARSER)):
        assert main([name, "--help"]) == 0
        out = capfd.readouterr().out
        assert f"usage: s3box {name} MANIFEST" in out
        assert all(option in out for option in parser.names)


def test_neither_beam_nor_a_driver_is_imported() -> None:
    heavy = ("apache_beam", "redshift_connector", "psycopg", "boto3", "fastavro")
    program = (
        "import sys, beam_s3box.redshift\nfrom beam_s3box.cli.commands.sql import run_copy_sql\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
