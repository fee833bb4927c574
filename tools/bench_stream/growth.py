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

GOAL = 100e6
"""Bytes a day."""

WATCH_FASTER = 50
"""The watcher of files looks so many times as often as it does by default, to grow as much in less time."""

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_CHECKPOINT_SECONDS = 2.0
_PATIENCE_SECONDS = 180.0
_DAY = 86_400


class Growth(NamedTuple):
    """How much state grew.

    Attributes:
      seconds: that it was watched.
      first, last: bytes of the checkpoints at both ends.
      faster: how much more often the source looked than it does by default.
    """

    seconds: float
    first: int
    last: int
    faster: float

    @property
    def bytes_a_day(self) -> float:
        """What it comes to in a day of looks as they are by default."""
        return (self.last - self.first) / self.seconds / self.faster * _DAY


def growth_of_watcher(folder: pathlib.Path, destination: str, seconds: float, poll_interval: float) -> Growth:
    """Return how much the state of a job grows that watches a folder into which nothing comes.

    Args:
      folder: for the cluster and what is watched; it must be empty.
      destination: of the job.
      seconds: to measure.
      poll_interval: of the job by default.
    """
    landing, of_flink = folder / "landing", folder / "flink"
    landing.mkdir()
    of_flink.mkdir()
    source = [f"--input={landing}/*.jsonl", f"--poll_interval={poll_interval / WATCH_FASTER}"]
    with flink_cluster(of_flink, 1) as cluster:
        return measure(cluster, source, destination, seconds, WATCH_FASTER)


def measure(
    cluster: FlinkCluster, source: Sequence[str], destination: str, seconds: float, faster: float = 1
) -> Growth:
    """Return how much the state of a job with this source grows.

    Args:
      cluster: where it runs.
      source: options of `s3box stream` that name what it reads.
      destination: where it would write.
      seconds: to measure, after it has settled.
      faster: how much more often the source looks than it does by default.
    """
    name = f"growth-{time.monotonic_ns()}"
    options = cluster.options(streaming=True, checkpoint_seconds=_CHECKPOINT_SECONDS)
    with _job(cluster, [*source, f"--destination={destination}", *options, f"--job_name={name}"], name) as job:
        _wait_until_running(cluster, job)
        _wait_for_checkpoints(cluster, job, 3)
        began, first = time.monotonic(), cluster.rest.checkpoint_bytes(job)
        time.sleep(seconds)
        _wait_for_checkpoints(cluster, job, 1)
        return Growth(time.monotonic() - began, first, cluster.rest.checkpoint_bytes(job), faster)


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
        process.communicate()


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
