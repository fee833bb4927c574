"""Spark: an executor dies in the middle of a backfill; workers are processes that Beam's `boot` starts; streams are refused."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

from beam_s3box import S3Settings
from beam_s3box.stores import open_store
from tests.pages import Block, Page, Shell
from tests.readback import read_back
from tests.runners.feed import ROOT
from tests.runners.paced import Paced, submit
from tests.runners.test_engines import eventually
from tests.runners.test_kill_backfill import wait_for_keys
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.boot import process_options
from tools.seaweedfs import REGION, Server
from tools.spark.cluster import SparkCluster
from tools.spark.job_server import SparkJobs

RECORDS = 600
FLIGHTS = 56_147
PATIENCE_SECONDS = 180


def test_an_executor_is_killed_three_times_in_a_backfill(
    spark_cluster: SparkCluster, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    """While bundles are packed, while the steps behind the first shuffle run, and while manifests are written."""
    store = fresh_store(s3_server)
    arguments = [*spark_cluster.options(), *s3_arguments(s3_server)]
    submitted = submit(Paced(RECORDS, 0.04, 3, 0.2), store.root, arguments, tmp_path / "log")
    try:
        for prefix, count in (("data/", 20), ("data/", 110), ("manifests/", 3)):
            wait_for_keys(store, prefix, count, submitted)
            assert eventually(spark_cluster.executors)
            spark_cluster.kill_executor()
        submitted.wait(PATIENCE_SECONDS)
    finally:
        submitted.kill()
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(RECORDS))
    assert found.unlisted, "nothing had to be done again: this shows nothing"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a job of ours to its end."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_executors_start_workers_as_processes(
    spark_cluster: SparkCluster, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    """As on EMR, without Docker."""
    store, source = fresh_store(s3_server), tmp_path / "records.jsonl"
    with source.open("w") as lines:
        for number in range(100_000):
            lines.write(json.dumps({"d": f"d{number % 3}", "i": number}) + "\n")
        lines.write("no record\n")
    workers = [option for option in spark_cluster.options() if not option.startswith("--environment")]
    ended = run(
        *("pipelines.backfill", f"--input={source}", f"--destination={store.root}", "--max_raw_bytes=1MB"),
        *("--domain_field=d", "--namespace=n", *s3_arguments(s3_server), *workers, *process_options()),
    )
    assert ended.returncode == 0, ended.stderr[-4_000:]
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(100_000))
    # each bundle was executed once: nothing of another execution is left
    assert (found.unlisted, len(found.dead_letters), len(found.manifests)) == ([], 1, 3)


def test_the_commands_of_the_page(spark_cluster: SparkCluster, s3_server: Server, tmp_path: pathlib.Path) -> None:
    client, page = s3_server.client(), Page("docs/emr-eks-dataflow.md")
    if "demo" not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket="demo")
    shell = Shell(tmp_path, s3_server, JOB_SERVER=spark_cluster.jobs.job_endpoint)
    build, run_it = page.blocks("bash")
    shell.run(build)
    # AWS needs none of these
    server = " ".join(s3_arguments(s3_server))
    shell.run(Block("bash", f"{run_it.text.rstrip()} {server}", run_it.where), timeout=600)
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    found = read_back(open_store("s3://demo/on-spark", settings, s3_server.admin))
    assert len(found.all_records()) == FLIGHTS


def test_streams_are_refused(spark_local: SparkJobs, tmp_path: pathlib.Path) -> None:
    ended = run(
        *("pipelines.stream", f"--input={tmp_path}/*", f"--destination={tmp_path}/box", "--domain=d", "--namespace=n"),
        *spark_local.options(streaming=True),
    )
    assert ended.returncode == 2
    assert "SparkRunner is for bounded input; use --runner=FlinkRunner" in ended.stderr
