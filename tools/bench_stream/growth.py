"""How much the state of a stream job grows on Flink while nothing comes.

Beam's runner before 2.76 keeps something of each time that a source steps aside, which it does between two looks.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tools.flink.cluster import FlinkCluster, flink_cluster
from tools.kafka.broker import kafka_broker
from tools.kinesis import kinesis
from tools.moto import moto
from tools.seaweedfs import REGION

GOAL = 100e6
"""Bytes a day."""

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_CHECKPOINT_SECONDS = 2.0
_PATIENCE_SECONDS = 180.0
_DAY = 86_400


class Growth(NamedTuple):
    """How much state grew.

    Attributes:
      seconds: that it was watched.
      first, last: bytes of the checkpoints at both ends.
    """

    seconds: float
    first: int
    last: int

    @property
    def bytes_a_day(self) -> float:
        """What it comes to in a day."""
        return (self.last - self.first) / self.seconds * _DAY


def growths(folder: pathlib.Path, destination: str, seconds: float) -> dict[str, Growth]:
    """Return how much the state of jobs grows, by their source, into which nothing comes; options are the defaults.

    Args:
      folder: for servers; it must be empty.
      destination: of the jobs.
      seconds: to measure each.
    """
    landing, of_flink, of_kafka = (folder / name for name in ("landing", "flink", "kafka"))
    for path in (landing, of_flink, of_kafka):
        path.mkdir()
    with flink_cluster(of_flink, 1) as cluster, kafka_broker(of_kafka) as broker, kinesis() as streams, moto() as aws:
        broker.create_topic("idle", 3)
        streams.create("idle", 3)
        queue = aws.client("sqs").create_queue(QueueName="idle")["QueueUrl"]
        sources = {
            "files": [f"--input={landing}/*.jsonl"],
            "Kafka": [f"--kafka_brokers={broker.address}", "--kafka_topic=idle"],
            "Kinesis": [
                *("--kinesis_stream=idle", f"--kinesis_region={REGION}"),
                f"--kinesis_endpoint_url={streams.endpoint_url}",
            ],
            "queue": [f"--sqs_queue={queue}", f"--sqs_region={REGION}", f"--sqs_endpoint_url={aws.endpoint_url}"],
        }
        return {name: measure(cluster, source, destination, seconds) for name, source in sources.items()}


def measure(cluster: FlinkCluster, source: Sequence[str], destination: str, seconds: float) -> Growth:
    """Return how much the state of a job with this source grows.

    Args:
      cluster: where it runs.
      source: options of `s3box stream` that name what it reads.
      destination: where it would write.
      seconds: to measure, after it has settled.
    """
    name = f"growth-{time.monotonic_ns()}"
    options = cluster.options(streaming=True, checkpoint_seconds=_CHECKPOINT_SECONDS)
    with _job(cluster, [*source, f"--destination={destination}", *options, f"--job_name={name}"], name) as job:
        _wait_until_running(cluster, job)
        _wait_for_checkpoints(cluster, job, 3)
        began, first = time.monotonic(), cluster.rest.checkpoint_bytes(job)
        time.sleep(seconds)
        _wait_for_checkpoints(cluster, job, 1)
        return Growth(time.monotonic() - began, first, cluster.rest.checkpoint_bytes(job))


@contextlib.contextmanager
def _job(cluster: FlinkCluster, arguments: Sequence[str], name: str) -> Iterator[str]:
    """Start a job, give its id, and cancel it."""
    command = [sys.executable, "-m", "beam_s3box", "stream", "--domain=d", "--namespace=n", *arguments]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with contextlib.suppress(LookupError, urllib.error.HTTPError):
                job = cluster.rest.job_named(name).id
                break
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"the job did not start: {process.communicate()[1][-2_000:]}")
            time.sleep(0.5)
        yield job
        cluster.rest.cancel(job)
    finally:
        process.kill()
        process.wait()


def _wait_until_running(cluster: FlinkCluster, job: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        # it answers with 500 while a job is set up
        with contextlib.suppress(urllib.error.HTTPError):
            if cluster.rest.is_running(job):
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"job {job} does not run: {cluster.rest.failure(job)}")
        time.sleep(0.5)


def _wait_for_checkpoints(cluster: FlinkCluster, job: str, count: int) -> None:
    """Wait until the job has completed so many more."""
    wanted, deadline = cluster.rest.completed_checkpoints(job) + count, time.monotonic() + _PATIENCE_SECONDS
    while cluster.rest.completed_checkpoints(job) < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"job {job} completes no checkpoints: {cluster.rest.failure(job)}")
        time.sleep(0.5)
