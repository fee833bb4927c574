"""The example and the commands of docs/streaming.md run as they stand there, on Prism and on a Flink cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from beam_s3box import S3Settings
from beam_s3box.stores import open_store
from tests.readback import ReadBack, read_back
from tests.runners.test_streams import s3_arguments
from tools.flink.cluster import FlinkCluster
from tools.prism import Prism, prism_binary
from tools.seaweedfs import REGION, Server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "streaming.md").read_text(encoding="utf-8")
FLIGHTS = 56_147


def block(language: str, word: str) -> str:
    """Return the one block of a language that has the word."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    [found] = [text for text in blocks if word in text]
    return str(found)


@pytest.fixture
def environment(s3_server: Server) -> dict[str, str]:
    client = s3_server.client()
    if "demo" not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket="demo")
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.writer.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.writer.secret_key,
        "AWS_DEFAULT_REGION": REGION,
    }


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-4_000:]}"
    return done.stdout


def written(server: Server, prefix: str) -> ReadBack:
    settings = S3Settings(endpoint_url=server.endpoint_url, region=REGION)
    return read_back(open_store(f"s3://demo/{prefix}", settings, server.admin))


def test_the_example(prism: Prism, s3_server: Server, tmp_path: Path, environment: dict[str, str]) -> None:
    example = tmp_path / "example.py"
    example.write_text(block("python", "WriteToS3Box"))
    location = f"--prism_location={prism_binary()}"
    run([sys.executable, str(example), "--streaming", "--runner=PrismRunner", location], tmp_path, environment)
    found = written(s3_server, "readings")
    assert len(found.all_records()) == 150
    assert len({record["at"] for record in found.all_records()}) == 150
    assert found.unlisted == []
    assert len(found.manifests) >= 9


def test_the_job_on_prism(prism: Prism, s3_server: Server, tmp_path: Path, environment: dict[str, str]) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    told = run(["bash", "-ec", block("bash", "PrismRunner")], tmp_path, environment)
    assert f"{FLIGHTS:,} records read = {FLIGHTS:,} listed + 0 dead letters" in told
    found = written(s3_server, "stream")
    assert len(found.all_records()) == FLIGHTS
    assert found.unlisted == []


def test_the_job_on_flink_with_checkpoints(
    flink_cluster: FlinkCluster, s3_server: Server, tmp_path: Path, environment: dict[str, str]
) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    shutil.copy(ROOT / "examples" / "flights.jsonl.gz", landing / "flights.jsonl.gz")
    (pool,) = (option for option in flink_cluster.jobs.environment if option.startswith("--environment_config="))
    variables = {
        "LANDING": str(landing),
        "JOB_SERVER": flink_cluster.jobs.job_endpoint,
        "WORKER_POOL": pool.partition("=")[2],
    }
    command = block("bash", "FlinkRunner").replace("*.jsonl", "*.jsonl.gz").rstrip()
    # AWS needs none of these
    command = " ".join([command, *s3_arguments(s3_server), "--job_name=the-command-of-the-page"])
    try:
        told = run(["bash", "-ec", command], tmp_path, environment | variables)
    finally:
        # it has a slot of the cluster for ever else
        flink_cluster.rest.cancel(flink_cluster.rest.job_named("the-command-of-the-page").id)
    assert f"{FLIGHTS:,} records read = {FLIGHTS:,} listed + 0 dead letters" in told
    found = written(s3_server, "stream-on-flink")
    assert len(found.all_records()) == FLIGHTS
    assert found.unlisted == []
