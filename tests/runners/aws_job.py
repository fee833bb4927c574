"""The streaming job on a stream of Kinesis or a queue of SQS, as its command line starts it, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from beam_s3box.stores import Store
from tests.runners.feed import ROOT
from tests.runners.kafka_job import KafkaJob as SourceJob
from tests.runners.test_kill_task_manager import kill_the_busy_one, restored_within
from tests.runners.test_streams import s3_arguments
from tools.flink.cluster import FlinkCluster
from tools.moto import KEYS
from tools.seaweedfs import Server

__all__ = ["Fed", "SourceJob", "killed_in_the_midst", "source_job"]


@contextlib.contextmanager
def source_job(store: Store, server: Server, folder: pathlib.Path, run_id: str, *arguments: str) -> Iterator[SourceJob]:
    """Start the job, and kill its launcher on the way out."""
    log = folder / f"{run_id}.log"
    command = [
        *(sys.executable, "-m", "beam_s3box", "stream", f"--destination={store.root}", f"--run_id={run_id}"),
        *("--domain_field=carrier", "--namespace_field=origin", "--max_seconds=5"),
        *s3_arguments(server),
        *arguments,
    ]
    environment = {**os.environ, **KEYS, "AWS_EC2_METADATA_DISABLED": "true"}
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, env=environment)
    try:
        yield SourceJob(process, log, store, run_id, s3_arguments(server))
    finally:
        process.kill()
        process.wait()


def killed_in_the_midst(cluster: FlinkCluster, job: SourceJob, name: str) -> None:
    """Kill the TaskManager that the job is on, between two checkpoints, and wait until the job is back."""
    job.wait_until(lambda: job.listed() > 0, seconds=240)
    job_id = cluster.rest.job_named(name).id
    job.wait_until(lambda: cluster.rest.completed_checkpoints(job_id) > 0)
    time.sleep(2.5)
    kill_the_busy_one(cluster)
    restored_within(cluster, job_id, seconds=90)


class Fed(threading.Thread):
    """Does something again and again, with a pause, so many times or until it is ended.

    Args:
      feed: is called with how many times it was before.
      times: at most.
      pause: seconds.
    """

    def __init__(self, feed: Callable[[int], None], times: int, pause: float) -> None:
        super().__init__(daemon=True)
        self._feed = feed
        self._times = times
        self._pause = pause
        self._ended = threading.Event()
        self.done = 0
        self.start()

    def run(self) -> None:
        while self.done < self._times and not self._ended.is_set():
            self._feed(self.done)
            self.done += 1
            time.sleep(self._pause)

    def end(self) -> int:
        """End it, and return how many times it was done."""
        self._ended.set()
        self.join()
        return self.done
