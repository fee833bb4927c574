"""The streaming job on topics of Kafka, as its command line starts it, in a process of its own."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from beam_s3box.engine.run_reader import Run, find_run
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.stores import Store
from tests.readback import ReadBack
from tests.runners.feed import ROOT
from tests.runners.test_streams import s3_arguments
from tools.kafka.broker import KafkaBroker
from tools.seaweedfs import Server


class KafkaJob(NamedTuple):
    """A job that was started.

    Attributes:
      process: of its launcher.
      log: what it says.
      store: where to it writes.
      run_id: of its run.
      s3: options that reach the store.
    """

    process: subprocess.Popen[bytes]
    log: pathlib.Path
    store: Store
    run_id: str
    s3: list[str]

    def stop(self, *arguments: str) -> None:
        """Ask the run to stop, as a user would, and wait until its launcher has ended too."""
        url = self.store.url(f"runs/{self.run_id}.json")
        command = [sys.executable, "-m", "beam_s3box", "stop", url, "--wait=120", *self.s3, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{self.said()}"
        assert self.process.wait(90) == 0, self.said()

    def said(self) -> str:
        return self.log.read_text()[-6_000:]

    def run(self) -> Run:
        return find_run(self.store, self.run_id)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait while the job runs."""
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.5)

    def listed(self) -> int:
        """Return how many records its manifests list so far."""
        try:
            return sum(firing.manifest.records for firing in self.run().firings())
        except (ConfigurationError, S3BoxError):
            return 0  # it has not begun, or a manifest was withdrawn meanwhile


@contextlib.contextmanager
def kafka_job(
    kafka: KafkaBroker,
    topics: list[str],
    store: Store,
    server: Server,
    folder: pathlib.Path,
    run_id: str,
    *arguments: str,
    naming: tuple[str, ...] = ("--domain_field=carrier", "--namespace_field=origin"),
) -> Iterator[KafkaJob]:
    """Start the job, and kill its launcher on the way out."""
    log = folder / f"{run_id}.log"
    command = [
        *(sys.executable, "-m", "beam_s3box", "stream", f"--kafka_brokers={kafka.address}"),
        *(f"--kafka_topic={topic}" for topic in topics),
        *(f"--destination={store.root}", f"--run_id={run_id}", *naming, "--idle_timeout=2", "--max_seconds=5"),
        *s3_arguments(server),
        *arguments,
    ]
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
    try:
        yield KafkaJob(process, log, store, run_id, s3_arguments(server))
    finally:
        process.kill()
        process.wait()


def check_once_each(found: ReadBack, count: int) -> None:
    """Check that each id from 0 on is listed once."""
    ids = collections.Counter(record["id"] for record in found.all_records())
    missing, twice = sorted(set(range(count)) - set(ids)), [one for one, times in ids.items() if times > 1]
    assert (len(missing), len(twice)) == (0, 0), f"missing {missing[:5]}, twice {twice[:5]}"
    assert sum(ids.values()) == count
