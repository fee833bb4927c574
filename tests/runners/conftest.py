"""Engines for the tests of this folder; each starts once a session, when the first test asks for it.

`make test-runners` sets BEAM_S3BOX_RUNNERS=required: engines are built and downloaded, and a missing tool is a failure.
Without it a test runs where its engine is in the cache and quick, else it is skipped and says why.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runners.engines import Engine
from tools.dataflow.environment import gcp_is_there
from tools.dataflow.launch import Launcher
from tools.dataflow.storage import google_storage
from tools.flink import cluster, job_server
from tools.flink.cluster import FlinkCluster
from tools.flink.jars import FLINK, NEWEST
from tools.flink.job_server import FlinkJobs
from tools.java import find_java
from tools.kafka.broker import KAFKA, KafkaBroker, kafka_broker
from tools.kinesis import kinesis_is_there
from tools.prism import PRISM, Prism, prism_server
from tools.processes import MissingToolError
from tools.seaweedfs import Server
from tools.spark import cluster as spark
from tools.spark import job_server as spark_job_server
from tools.spark.cluster import SparkCluster
from tools.spark.java import SPARK
from tools.spark.job_server import SparkJobs

VARIABLE = "BEAM_S3BOX_RUNNERS"
REQUIRED = os.environ.get(VARIABLE) == "required"
HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "runners: runs on a real engine, if the machine has it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacks = {} if REQUIRED else {name: f"{reason}; `make test-runners` runs it" for name, reason in lacking()}
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("runners")
            # a mark and not a skip() in the fixture: the summary has one line then for all tests of a file
            for name in engines_of(item) & set(lacks):
                item.add_marker(pytest.mark.skip(reason=lacks[name]))


def lacking() -> Iterator[tuple[str, str]]:
    """Yield the fixtures that are not for a quick run on this machine, with the reason."""
    if not PRISM.is_built():
        yield "prism", "Prism is not built yet"
    for name, jars in (("flink_local", FLINK[NEWEST]), ("spark_local", SPARK)):
        if not jars.are_there():
            yield name, f"{jars.name.capitalize()} is not downloaded yet"
        else:
            try:
                find_java()
            except MissingToolError as exc:
                yield name, str(exc)
    for name in ("flink_cluster", "own_checkpoints", "flink_cluster_2_62"):
        yield name, "a Flink cluster takes minutes"
    yield "spark_cluster", "a Spark cluster takes minutes"
    if not KAFKA.are_there():
        yield "kafka", "Kafka is not downloaded yet"
    if not kinesis_is_there():
        yield "kinesis", "kinesis-local is not downloaded yet"
    if not gcp_is_there():
        yield "dataflow", "DataflowRunner is not installed yet"


def engines_of(item: pytest.Item) -> set[str]:
    """Return the fixtures of a test; parameters may be names of fixtures too."""
    callspec = getattr(item, "callspec", None)
    chosen = {value for value in callspec.params.values() if isinstance(value, str)} if callspec else set()
    return {*getattr(item, "fixturenames", ()), *chosen}


@pytest.fixture(scope="session")
def engine_keys(s3_server: Server) -> dict[str, str]:
    """Return the environment of workers that write to the S3 server: the keys of its writer."""
    return {"AWS_ACCESS_KEY_ID": s3_server.writer.access_key, "AWS_SECRET_ACCESS_KEY": s3_server.writer.secret_key}


@pytest.fixture(scope="session")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with prism_server(tmp_path_factory.mktemp("prism")) as server:
        yield server


@pytest.fixture(scope="session")
def flink_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkJobs]:
    """Flink within the newest of Beam's job servers."""
    with job_server.flink_local(tmp_path_factory.mktemp("flink-local")) as jobs:
        yield jobs


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory: pytest.TempPathFactory, engine_keys: dict[str, str]) -> Iterator[FlinkCluster]:
    """A Flink cluster of processes, whose Python workers have the S3 server's keys."""
    with cluster.flink_cluster(tmp_path_factory.mktemp("flink"), environment=engine_keys) as started:
        yield started


@pytest.fixture(scope="session")
def flink_cluster_2_62(tmp_path_factory: pytest.TempPathFactory, engine_keys: dict[str, str]) -> Iterator[FlinkCluster]:
    """The same with Beam's runner of 2.62."""
    folder = tmp_path_factory.mktemp("flink-2.62")
    with cluster.flink_cluster(folder, environment=engine_keys, beam="2.62") as started:
        yield started


@pytest.fixture(scope="session")
def spark_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkJobs]:
    """Spark within Beam's job server."""
    with spark_job_server.spark_local(tmp_path_factory.mktemp("spark-local")) as jobs:
        yield jobs


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory, engine_keys: dict[str, str]) -> Iterator[SparkCluster]:
    """A Spark cluster of processes, whose Python workers have the S3 server's keys."""
    with spark.spark_cluster(tmp_path_factory.mktemp("spark"), engine_keys) as started:
        yield started


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that all tests share, each with topics of its own."""
    with kafka_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def dataflow(tmp_path_factory: pytest.TempPathFactory, engine_keys: dict[str, str]) -> Iterator[Launcher]:
    """DataflowRunner, with an emulator of Google's storage."""
    folder = tmp_path_factory.mktemp("dataflow")
    with google_storage(folder) as storage:
        yield Launcher(storage, folder, engine_keys)


@pytest.fixture(params=["prism", "flink_local", "flink_cluster", "flink_cluster_2_62", "spark_local"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    found: Engine = request.getfixturevalue(request.param)
    return found
