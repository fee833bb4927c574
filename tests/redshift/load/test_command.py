"""The command `load`, against the stand-in, as a shell runs it."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from beam_s3box.box import S3Box
from beam_s3box.cli.main import main
from beam_s3box.formats import AvroFormat
from tests.redshift.load.conftest import Warehouse, clicks


@pytest.fixture
def command(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that each load has in common; secrets come by the environment."""
    monkeypatch.setenv("REDSHIFT_PASSWORD", warehouse.redshift.password)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", warehouse.keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", warehouse.keys.secret_key)
    server = warehouse.redshift
    return [
        "load",
        f"--redshift_dsn=redshift://{server.user}@{server.host}:{server.port}/{server.database}?ssl=false",
        f"--redshift_iam_role={warehouse.role}",
        f"--s3_endpoint_url={warehouse.settings.endpoint_url}",
        f"--s3_region_name={warehouse.settings.region}",
    ]


def test_manifests_are_loaded_once(
    command: list[str], warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = [warehouse.manifest(clicks(1, 2)).url, warehouse.manifest(clicks(3)).url]
    assert main([*command, *urls, "--redshift_table=clicks"]) == 0
    assert warehouse.ids() == [1, 2, 3]
    assert capsys.readouterr().out == "3 rows of 2 manifests loaded into public.clicks\n"
    assert main([*command, *urls, "--redshift_table=clicks"]) == 0
    assert warehouse.ids() == [1, 2, 3]
    assert capsys.readouterr().out == "nothing new for public.clicks: 2 manifests loaded before\n"


def test_a_table_is_made_and_grows(command: list[str], warehouse: Warehouse) -> None:
    first = warehouse.manifest([{"Id": 1, "when": "2026-11-22T10:00:00Z", "tags": ["a"]}])
    second = warehouse.manifest([{"Id": 2, "size": 0.5}])
    for manifest in (first, second):
        assert main([*command, manifest.url, "--redshift_table=events", "--redshift_create_tables"]) == 0
    assert warehouse.rows("SELECT id, size FROM events ORDER BY id") == [(1, None), (2, 0.5)]
    assert warehouse.rows("SELECT COUNT(*) FROM events WHERE \"when\" = '2026-11-22 10:00:00+00'") == [(1,)]


def test_upsert_replaces_rows_of_the_same_key(command: list[str], warehouse: Warehouse) -> None:
    for manifest in (warehouse.manifest(clicks(1, 2)), warehouse.manifest(clicks(2, 3, name="new"))):
        upsert = ["--redshift_mode=upsert", "--redshift_keys=id"]
        assert main([*command, manifest.url, "--redshift_table=clicks", *upsert]) == 0
    assert warehouse.rows("SELECT id, name FROM clicks ORDER BY id") == [(1, "x1"), (2, "new2"), (3, "new3")]


def test_a_dry_run_prints_the_statements_and_loads_nothing(
    command: list[str], warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = warehouse.manifest(clicks(1))
    arguments = [*command, manifest.url, "--redshift_table=made", "--redshift_create_tables", "--redshift_dry_run"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "CREATE TABLE IF NOT EXISTS" in printed
    assert f"FROM '{manifest.url}'" in printed
    assert printed.endswith("COMMIT;\n")
    assert warehouse.redshift.password not in printed
    assert warehouse.rows("SELECT COUNT(*) FROM pg_tables WHERE tablename = 'made'") == [(0,)]


def test_a_row_that_does_not_fit_is_shown_and_nothing_is_loaded(
    command: list[str], warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = warehouse.manifest(clicks(1), [{"id": "no number", "name": "x"}])
    assert main([*command, manifest.url, "--redshift_table=clicks"]) == 1
    said = capsys.readouterr().err
    assert "no number" in said or "Invalid digit" in said
    assert warehouse.ids() == []


LONG = "x" * 70_000


@pytest.mark.parametrize(
    ("record", "said", "unsaid"),
    [
        (
            {"id": 1, "name": "longer than twenty bytes"},
            "widen the column, truncate texts with truncatecolumns (--redshift_truncatecolumns), ",
            "65,535",
        ),
        (
            {"id": 1, "wide": LONG},
            "no column takes more than 65,535 bytes: truncate texts with truncatecolumns (--redshift_truncatecolumns), ",
            "widen",
        ),
        ({"id": 1, "more": {"a": LONG}}, "SUPER takes no text of more than 65,535 bytes", "truncatecolumns"),
        (
            {"id": "x"},
            "change the column's type, skip such records with maxerror (--redshift_maxerror)",
            "truncatecolumns",
        ),
    ],
    ids=["wider", "longest", "super", "type"],
)
def test_what_an_error_advises_can_be_typed_and_helps(
    command: list[str],
    warehouse: Warehouse,
    capsys: pytest.CaptureFixture[str],
    record: dict[str, object],
    said: str,
    unsaid: str,
) -> None:
    warehouse.execute(
        "DROP TABLE clicks", "CREATE TABLE clicks (id INTEGER, name VARCHAR(20), wide VARCHAR(MAX), more SUPER)"
    )
    url = warehouse.manifest([record, {"id": 2}]).url
    assert main([*command, url, "--redshift_table=clicks"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert unsaid not in error
    assert "=True" not in error
    advised = "--redshift_truncatecolumns" if "--redshift_truncatecolumns" in error else "--redshift_maxerror=2"
    assert main([*command, url, "--redshift_table=clicks", advised]) == 0
    assert 2 in warehouse.ids()


def test_a_key_that_stands_twice_is_named_with_a_way_to_load_the_rest(
    command: list[str], warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not documented what COPY does then; the stand-in rejects the record, which is the stricter reading."""
    manifest = warehouse.manifest(clicks(1, 2))
    body = warehouse.store.get(manifest.key)
    [file] = [entry["url"] for entry in json.loads(body)["entries"]]
    lines = gzip.compress(b'{"id":1,"id":2}\n{"id":3}\n')
    key = file.removeprefix(f"{warehouse.store.root}/")
    warehouse.store.put(key, lines, sha256=hashlib.sha256(lines).hexdigest(), content_type="", replace=True)
    assert main([*command, manifest.url, "--redshift_table=clicks"]) == 1
    assert "a key is twice in a record" in capsys.readouterr().err
    assert main([*command, manifest.url, "--redshift_table=clicks", "--redshift_maxerror=2"]) == 0
    assert warehouse.ids() == [3]


def test_avro_shards_without_their_format_are_told_which(
    command: list[str], warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = {"type": "record", "name": "E", "fields": [{"name": "id", "type": "long"}]}
    with S3Box(warehouse.store, domain="d", namespace="n", format=AvroFormat(schema)) as box:
        box.pack({"id": 7})
        box.seal()
        url = box.url(box.create_manifests("m", 1)[0])
    load = [*command, url, "--redshift_table=clicks"]
    for options in ([], ["--redshift_create_tables"]):
        assert main([*load, *options]) == 2
        assert "which is not of the format json-lines: give format=avro (--format=avro)" in capsys.readouterr().err
    assert main([*load, "--format=avro"]) == 0
    assert warehouse.ids() == [7]


def test_a_password_in_an_error_of_the_driver_is_masked(
    command: list[str], warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In any message: no pattern of ours matches it."""
    password = warehouse.redshift.password

    def connect(**arguments: object) -> None:
        raise ValueError(f"could not log in with >{arguments['password']}<")

    monkeypatch.setattr("redshift_connector.connect", connect)
    assert main([*command, "s3://box/x.manifest", "--redshift_table=clicks"]) == 1
    error = capsys.readouterr().err
    assert "could not log in with >(masked)<" in error
    assert password not in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--redshift_table=clicks"], "error: the manifest is missing"),
        (["s3://box/x.manifest"], "error: --redshift_table is missing"),
        (["s3://box/x.manifest", "--redshift_table=t", "--redshift_workgroup=w"], "error: give one of --redshift_dsn"),
        (
            ["s3://box/x.manifest", "--redshift_table=PUBLIC.beam_s3box_loads"],
            "error: table='public.beam_s3box_l",
        ),
        (["s3://box/x.manifest", "--redshift_table=t", "--redshift_noload"], "error: --redshift_noload loads nothing"),
        (["s3://box/x.manifest", "--redshift_table=t", "--redshift_mode=upsert"], "error: keys= is missing"),
    ],
)
def test_what_can_not_work_ends_before_anything_is_connected(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "--redshift_dsn=redshift://user@nowhere.invalid/dev",
        "--redshift_iam_role=arn:aws:iam::123456789012:role/x",
    ]
    assert main(["load", *given, *arguments]) == 2
    assert capsys.readouterr().err.startswith(said)
