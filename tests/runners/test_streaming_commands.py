"""The example and the commands of docs/streaming.md run as they stand there, on Prism and on a Flink cluster."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from beam_s3box import S3Settings
from beam_s3box.stores import open_store
from tests.pages import Block, Page, Shell
from tests.readback import ReadBack, read_back
from tests.runners.test_streams import s3_arguments
from tools.demo_kafka import lines_of_flights
from tools.flink.cluster import FlinkCluster
from tools.kafka.broker import KafkaBroker
from tools.kafka.produce import produce
from tools.prism import Prism, prism_binary
from tools.seaweedfs import REGION, Server

PAGE = Page("docs/streaming.md")
FLIGHTS = 56_147
FEW = 3_000


@pytest.fixture
def shell(s3_server: Server, tmp_path: Path) -> Shell:
    client = s3_server.client()
    if "demo" not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket="demo")
    return Shell(tmp_path, s3_server)


def written(server: Server, prefix: str) -> ReadBack:
    settings = S3Settings(endpoint_url=server.endpoint_url, region=REGION)
    return read_back(open_store(f"s3://demo/{prefix}", settings, server.admin))


def test_the_example(prism: Prism, s3_server: Server, shell: Shell) -> None:
    (shell.folder / "example.py").write_text(PAGE.block("python", "PeriodicImpulse").text)
    command = f"python example.py --streaming --runner=PrismRunner --prism_location={prism_binary()}"
    shell.run(Block("bash", command, PAGE.name))
    found = written(s3_server, "readings")
    assert len(found.all_records()) == 150
    assert len({record["at"] for record in found.all_records()}) == 150
    assert found.unlisted == []
    assert len(found.manifests) >= 9


def test_the_job_on_prism(prism: Prism, s3_server: Server, shell: Shell) -> None:
    printed = shell.run(PAGE.block("bash", "mkdir -p landing"))
    assert f"{FLIGHTS:,} records read = {FLIGHTS:,} listed + 0 dead letters" in printed
    found = written(s3_server, "stream")
    assert len(found.all_records()) == FLIGHTS
    assert found.unlisted == []


def test_kafka_on_prism(prism: Prism, kafka: KafkaBroker, s3_server: Server, shell: Shell) -> None:
    kafka.create_topic("flights", 3)
    now = int(time.time() * 1000)
    produce(kafka.address, "flights", ((number % 3, line, now) for number, line in enumerate(lines_of_flights(FEW))))
    shell.environment["BROKERS"] = kafka.address
    printed = shell.run(PAGE.block("bash", "kafka_brokers"))
    assert f"{FEW:,} records read = {FEW:,} listed + 0 dead letters" in printed
    assert len(written(s3_server, "kafka").all_records()) == FEW
    (shell.folder / "kafka.py").write_text(PAGE.block("python", "ReadKafka").text)
    shell.run(Block("bash", f"python kafka.py --runner=PrismRunner --prism_location={prism_binary()} --streaming", ""))
    assert len(written(s3_server, "flights-of-kafka").all_records()) == FEW


def test_the_job_on_flink_with_checkpoints(flink_cluster: FlinkCluster, s3_server: Server, shell: Shell) -> None:
    (pool,) = (option for option in flink_cluster.jobs.environment if option.startswith("--environment_config="))
    shell.environment |= {
        "LANDING": str(shell.folder / "examples"),
        "JOB_SERVER": flink_cluster.jobs.job_endpoint,
        "WORKER_POOL": pool.partition("=")[2],
    }
    command = PAGE.block("bash", "FlinkRunner").text.replace("*.jsonl", "*.jsonl.gz").rstrip()
    # AWS needs none of these
    command = " ".join([command, *s3_arguments(s3_server), "--job_name=the-command-of-the-page"])
    try:
        printed = shell.run(Block("bash", command, PAGE.name))
    finally:
        # it has a slot of the cluster for ever else
        flink_cluster.rest.cancel(flink_cluster.rest.job_named("the-command-of-the-page").id)
    assert f"{FLIGHTS:,} records read = {FLIGHTS:,} listed + 0 dead letters" in printed
    found = written(s3_server, "stream-on-flink")
    assert len(found.all_records()) == FLIGHTS
    assert found.unlisted == []
