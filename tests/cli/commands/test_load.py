"""`load`: manifests into a table by one command; its errors, its output, and the secrets that it hides."""

from __future__ import annotations

import gc
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from beam_s3box.cli.commands.load import LOAD_PARSER
from beam_s3box.cli.commands.table import COMMANDS
from beam_s3box.cli.console.loads import describe_load
from beam_s3box.cli.main import main
from beam_s3box.redshift import LoadResult
from tests.cli.conftest import ROOT, Ended
from tests.redshift.load.conftest import Warehouse, clicks, redshift, warehouse

__all__ = ["redshift", "warehouse"]

URLS = ("s3://b/x.manifest", "s3://b/y.manifest")
DSN = "--redshift_dsn=redshift://me@127.0.0.1:1/dev?ssl=false"
COMMON = (URLS[0], "--redshift_table=t", "--redshift_iam_role=default", DSN)


@pytest.fixture
def load(
    warehouse: Warehouse, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """`load` in this process, into the stand-in."""
    server, keys, settings = warehouse.redshift, warehouse.keys(), warehouse.settings
    monkeypatch.setenv("REDSHIFT_PASSWORD", server.password)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)

    def run(*arguments: str) -> Ended:
        options = (
            f"--redshift_dsn=redshift://{server.user}@{server.host}:{server.port}/dev?ssl=false",
            f"--redshift_iam_role={warehouse.role}",
            f"--s3_endpoint_url={settings.endpoint_url}",
            f"--s3_region_name={settings.region}",
        )
        return Ended(main(["load", *arguments, *options]), *capfd.readouterr())

    return run


def test_several_manifests_once(load: Callable[..., Ended], warehouse: Warehouse) -> None:
    urls = [warehouse.manifest(clicks(1, 2)).url, warehouse.manifest(clicks(3)).url]
    assert load(*urls, "--redshift_table=clicks") == Ended(0, "3 rows of 2 manifests loaded into public.clicks\n", "")
    assert load(urls[0], "--redshift_table=clicks").out == "nothing new for public.clicks: 1 manifest loaded before\n"
    more = warehouse.manifest(clicks(4)).url
    assert load(*urls, more, "--redshift_table=clicks").out == (
        "1 row of 1 manifest loaded into public.clicks; 2 manifests loaded before\n"
    )
    assert warehouse.ids() == [1, 2, 3, 4]


def test_a_table_is_made_and_grows(load: Callable[..., Ended], warehouse: Warehouse) -> None:
    first, second = (
        warehouse.manifest([{"id": 1, "Skip": "x"}]).url,
        warehouse.manifest([{"ID": 2, "at": "2026-01-01"}]).url,
    )
    made = ("--redshift_table=made", "--redshift_create_tables", "--redshift_exclude=Skip")
    assert load(first, *made).code == 0
    assert load(second, *made).code == 0
    rows = warehouse.rows("SELECT id, at::text FROM made ORDER BY id")
    assert rows == [(1, None), (2, "2026-01-01")]


def test_modes(load: Callable[..., Ended], warehouse: Warehouse) -> None:
    old = warehouse.manifest(clicks(1, 2)).url
    assert load(old, "--redshift_table=clicks").code == 0
    new = warehouse.manifest(clicks(2, 3, name="new")).url
    upsert = ("--redshift_table=clicks", "--redshift_mode=upsert", "--redshift_keys=id")
    assert load(new, *upsert).code == 0
    assert warehouse.rows("SELECT name FROM clicks ORDER BY id") == [("x1",), ("new2",), ("new3",)]
    only = warehouse.manifest(clicks(9)).url
    assert load(only, "--redshift_table=clicks", "--redshift_mode=truncate").code == 0
    assert warehouse.ids() == [9]


def test_a_manifest_written_anew_is_loaded_again_where_that_is_asked(
    load: Callable[..., Ended], warehouse: Warehouse
) -> None:
    manifest = warehouse.manifest(clicks(1, 2))
    upsert = (manifest.url, "--redshift_table=clicks", "--redshift_mode=upsert", "--redshift_keys=id")
    assert load(*upsert).code == 0
    warehouse.rewrite(manifest, clicks(2, 3, name="y"))
    refused = load(*upsert)
    assert refused.code == 1
    assert "has been written again since" in refused.err
    assert load(*upsert, "--redshift_on_replaced=skip").out.startswith("nothing new")
    assert load(*upsert, "--redshift_on_replaced=reload").code == 0
    assert warehouse.rows("SELECT name FROM clicks ORDER BY id") == [("x1",), ("y2",), ("y3",)]


def test_a_failure_says_where_and_why(load: Callable[..., Ended], warehouse: Warehouse) -> None:
    url = warehouse.manifest(clicks(1, name="n" * 30)).url
    ended = load(url, "--redshift_table=clicks")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "line 1, column name: " in ended.err
    assert load(url, "--redshift_table=clicks", "--redshift_truncatecolumns").code == 0
    gone = load(f"{url}x", "--redshift_table=clicks")
    assert (gone.code, gone.out) == (1, "")
    assert load(url, "--redshift_table=nowhere").err.startswith("error: table='public.nowhere' does not exist")


def test_a_dry_run_prints_the_statements(load: Callable[..., Ended], warehouse: Warehouse) -> None:
    url = warehouse.manifest(clicks(1)).url
    ended = load(url, "--redshift_table=clicks", "--redshift_dry_run")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("BEGIN;\n\nLOCK TABLE")
    assert ended.out.endswith("COMMIT;\n")
    assert f"FROM '{url}'" in ended.out
    made = load(url, "--redshift_table=other", "--redshift_dry_run", "--redshift_create_tables").out
    assert made.startswith('CREATE TABLE IF NOT EXISTS "public"."other" (\n  "id" BIGINT,')
    assert warehouse.ids() == []
    with pytest.raises(Exception, match="other"):
        warehouse.rows("SELECT * FROM other")


def test_a_dry_run_of_what_the_shards_tell_needs_no_server(
    capfd: pytest.CaptureFixture[str], warehouse: Warehouse
) -> None:
    keys, settings = warehouse.keys(), warehouse.settings
    code = main(
        [
            "load", warehouse.manifest(clicks(1)).url, "--redshift_table=t", "--redshift_iam_role=default",
            "--redshift_dry_run", "--redshift_create_tables", f"--s3_endpoint_url={settings.endpoint_url}",
            f"--s3_access_key_id={keys.access_key}", f"--s3_secret_access_key={keys.secret_key}",
        ]
    )  # fmt: skip
    out, err = capfd.readouterr()
    assert (code, err) == (0, "")
    assert "COPY " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the manifest is missing"),
        ([URLS[0]], "--redshift_table is missing"),
        ([URLS[0], "--redshift_table=t"], "give one of --redshift_dsn"),
        ([*COMMON, "--redshift_workgroup=w"], "give one of --redshift_dsn"),
        ([*COMMON[:3], "--redshift_workgroup=w"], "--redshift_database is missing"),
        ([*COMMON[:3], "--redshift_dsn=redshift://me:hunter2-secret@h/dev"], "others see in the list of processes"),
        ([*COMMON[:3], "--redshift_dsn=mysql://me@h/dev"], "dsn= must be written redshift://"),
        ([*COMMON[:3], "--redshift_dsn=redshift://me@h/dev?password=x"], "the option 'password'"),
        ([URLS[0], "--redshift_table=t", DSN], "iam_role= is missing"),
        ([URLS[0], "--redshift_table={domain}", *COMMON[2:]], "table='{domain}' names a table for each stream"),
        ([*COMMON, "--redshift_mode=upsert"], "keys= is missing: mode='upsert'"),
        ([*COMMON, "--redshift_keys=a"], "are for mode='upsert'"),
        ([*COMMON, "--redshift_on_replaced=reload"], "on_replaced='reload' with mode='append'"),
        ([*COMMON, "--redshift_columns=a", "--redshift_create_tables"], "and create_tables=True are mutually exclusive"),
        ([*COMMON, "--redshift_noload"], "--redshift_noload loads nothing"),
        ([*COMMON, "--redshift_modus=append"], "did you mean --redshift_mode?"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_refused_by_the_name_of_its_option(
    capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code = main(["load", *arguments])
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert "hunter2" not in err


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # redshift_connector's, when a login fails
def test_a_server_that_is_not_there_is_printed_at_once(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDSHIFT_PASSWORD", "hunter2-secret")
    begun = time.monotonic()
    assert main(["load", *COMMON]) == 1
    assert time.monotonic() - begun < 30
    err = capfd.readouterr().err
    assert "connecting to Redshift" in err
    assert "hunter2" not in err
    monkeypatch.delenv("REDSHIFT_PASSWORD")
    assert main(["load", *COMMON]) == 2
    assert "set REDSHIFT_PASSWORD" in capfd.readouterr().err
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # redshift_connector's, when a login fails
def test_a_wrong_password_shows_nowhere(load: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSHIFT_PASSWORD", "hunter2-secret")
    ended = load(URLS[0], "--redshift_table=clicks")
    assert ended.code == 1
    assert "correct user and password" in ended.err
    assert "hunter2" not in ended.out + ended.err
    gc.collect()


def test_outcomes_in_words() -> None:
    assert (
        describe_load(LoadResult("nothing-to-load", "a.b", "append"))
        == "nothing to load into a.b: the manifests list no shards"
    )
    some = LoadResult("loaded", "a.b", "append", URLS, records=1_000, rejected=2)
    assert describe_load(some) == "1,000 rows of 2 manifests loaded into a.b, 2 rows rejected"


def test_help_names_every_option(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--help"]) == 0
    out = capfd.readouterr().out
    assert "usage: s3box load MANIFEST..." in out
    assert all(option in out for option in LOAD_PARSER.names)
    assert "load" in COMMANDS


def test_as_a_program_it_imports_no_beam(tmp_path: pathlib.Path) -> None:
    program = (
        "import sys\nfrom beam_s3box.cli.main import main\ncode = main(['load', '--help'])\n"
        "print([name for name in ('apache_beam', 'redshift_connector', 'boto3', 'fastavro') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
