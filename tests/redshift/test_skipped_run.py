"""A backfill that had finished before its loads failed: called again, it loads, and writes nothing."""

from __future__ import annotations

import pathlib

import pytest

from beam_s3box.cli.main import main
from tests.redshift.load.conftest import Warehouse, redshift, warehouse

__all__ = ["redshift", "warehouse"]


def test_a_finished_run_that_is_skipped_is_loaded_if_it_was_not(
    warehouse: Warehouse, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDSHIFT_PASSWORD", warehouse.redshift.password)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", warehouse.keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", warehouse.keys.secret_key)
    warehouse.execute("CREATE TABLE late (id INTEGER, name VARCHAR(2))")
    (tmp_path / "in.jsonl").write_text('{"id":1,"name":"long"}\n{"id":2,"name":"b"}\n')
    server = warehouse.redshift
    arguments = [
        *(
            "backfill",
            "--domain=d",
            "--namespace=n",
            "--run_id=daily",
            "--if_finished=skip",
            f"--input={tmp_path}/in.jsonl",
        ),
        f"--destination={warehouse.store.root}/late",
        *("--redshift_table=late", f"--redshift_iam_role={warehouse.role}"),
        f"--redshift_dsn=redshift://{server.user}@{server.host}:{server.port}/{server.database}?ssl=false",
        *(f"--s3_endpoint_url={warehouse.settings.endpoint_url}", f"--s3_region_name={warehouse.settings.region}"),
    ]
    assert main(arguments) == 1
    before = {info.key: info.etag for info in warehouse.store.list("late/")}
    assert main(arguments) == 1
    assert "daily" in capfd.readouterr().out
    assert warehouse.rows("SELECT COUNT(*) FROM late") == [(0,)]
    for said in (
        "2 rows of 1 manifest loaded into public.late",
        "nothing new for public.late: 1 manifest loaded before",
    ):
        assert main([*arguments, "--redshift_truncatecolumns"]) == 0
        printed = capfd.readouterr().out
        assert "had finished before" in printed
        assert said in printed
    assert warehouse.rows("SELECT id, name FROM late ORDER BY id") == [(1, "lo"), (2, "b")]
    assert {info.key: info.etag for info in warehouse.store.list("late/")} == before
