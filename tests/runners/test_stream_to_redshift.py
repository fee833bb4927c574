"""The streaming job loads the manifests of its windows into tables while it runs."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

from tests.readback import read_back
from tests.redshift.load.conftest import Warehouse, redshift, warehouse
from tests.runners.feed import ROOT
from tests.runners.test_stream_job import FILES, LINES, land
from tools.prism import Prism

__all__ = ["redshift", "warehouse"]

STOP_AFTER_SECONDS = 35


def test_windows_are_loaded_once_each_as_they_end(prism: Prism, warehouse: Warehouse, tmp_path: pathlib.Path) -> None:
    landing, report, log = tmp_path / "landing", tmp_path / "report.json", tmp_path / "job.log"
    landing.mkdir()
    warehouse.execute("CREATE TABLE events (d VARCHAR(9), n VARCHAR(9), i INTEGER, t FLOAT8)")
    server = warehouse.redshift
    command = [
        *(sys.executable, "-m", "pipelines.stream"),
        f"--input={landing}/*.jsonl",
        f"--destination={warehouse.store.root}",
        *("--domain_field=d", "--namespace_field=n", "--timestamp_field=t"),
        *("--window=fixed:5", "--watermark_delay=5", "--max_seconds=2"),
        *("--poll_interval=1", f"--stop_after={STOP_AFTER_SECONDS}"),
        f"--s3_endpoint_url={warehouse.settings.endpoint_url}",
        f"--s3_region_name={warehouse.settings.region}",
        f"--redshift_dsn=redshift://{server.user}@{server.host}:{server.port}/dev?ssl=false",
        f"--redshift_iam_role={warehouse.role}",
        "--redshift_table=events",
        f"--report={report}",
        *prism.options(streaming=True),
    ]
    keys = {
        "AWS_ACCESS_KEY_ID": warehouse.keys.access_key,
        "AWS_SECRET_ACCESS_KEY": warehouse.keys.secret_key,
        "REDSHIFT_PASSWORD": server.password,
    }
    rows_meanwhile = 0
    with log.open("w") as said:
        job = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **keys}, stdout=said, stderr=subprocess.STDOUT)
        try:
            land(landing)
            [(rows_meanwhile,)] = warehouse.rows("SELECT COUNT(*) FROM events")
            assert job.wait(180) == 0, log.read_text()[-4_000:]
        finally:
            job.kill()
    records = FILES * LINES
    found = read_back(warehouse.store)
    assert 0 < rows_meanwhile < records
    query = "SELECT n, COUNT(*), COUNT(DISTINCT i), SUM(i) FROM events GROUP BY n ORDER BY n"
    assert warehouse.rows(query) == [
        (f"n{rest}", records // 3, records // 3, sum(range(rest, records, 3))) for rest in range(3)
    ]
    loads = json.loads(report.read_text())["redshift"]
    assert loads["failures"] == []
    loaded = [url for load in loads["loads"] for url in load["loaded"]]
    assert sorted(loaded) == sorted(warehouse.store.url(key) for key in found.manifests)
    assert len(loaded) == len(set(loaded)) > 3
