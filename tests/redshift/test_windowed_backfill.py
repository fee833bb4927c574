"""History by event date goes into a table: the manifests of all windows, each once, and the keys don't matter to COPY."""

from __future__ import annotations

import json
import pathlib

import pytest

from beam_s3box.cli.main import main
from tests.redshift.load.conftest import Warehouse, redshift, warehouse

__all__ = ["redshift", "warehouse"]

TEMPLATE = "data/d={domain}/n={namespace}/dt={window_start:%Y-%m-%d}/{run_id}-{origin}-{sequence}-{digest}{extension}"


def test_all_windows_are_loaded_once(
    warehouse: Warehouse, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", warehouse.keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", warehouse.keys.secret_key)
    monkeypatch.setenv("REDSHIFT_PASSWORD", warehouse.redshift.password)
    warehouse.execute("CREATE TABLE history (d VARCHAR(9), n VARCHAR(9), i INTEGER, at VARCHAR(10))")
    lines = [json.dumps({"d": "ä", "n": f"n {i % 3}", "i": i, "at": f"2020-01-{1 + i % 9:02d}"}) for i in range(300)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    server = warehouse.redshift
    arguments = [
        *("backfill", f"--input={tmp_path}/in.jsonl", f"--destination={warehouse.store.root}", "--run_id=history"),
        *("--domain_field=d", "--namespace_field=n", "--timestamp_field=at", "--window=fixed:1d"),
        f"--key_template={TEMPLATE}",
        f"--s3_endpoint_url={warehouse.settings.endpoint_url}",
        f"--s3_region_name={warehouse.settings.region}",
        f"--redshift_dsn=redshift://{server.user}@{server.host}:{server.port}/dev?ssl=false",
        f"--redshift_iam_role={warehouse.role}",
        "--redshift_table=history",
    ]
    assert main(arguments) == 0, capfd.readouterr().err
    assert warehouse.rows("SELECT COUNT(*), COUNT(DISTINCT i), COUNT(DISTINCT at) FROM history") == [(300, 300, 9)]
