"""A standalone Spark cluster of processes on this machine, whose executors can be killed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.processes import Server, accepts, free_ports, running
from tools.spark.java import spark_command, spark_home
from tools.spark.job_server import SparkJobs, job_server

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
_EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
_SETTINGS = {
    "spark.executor.memory": "512m",
    # one that dies over and over is the test's doing
    "spark.task.maxFailures": "20",
    "spark.executor.extraJavaOptions": "-XX:-UsePerfData -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}


class SparkCluster:
    """A master with workers of one core each, and a job server; made by `spark_cluster`.

    Attributes:
      jobs: where pipelines are sent.
      url: where the master shows its workers.
    """

    def __init__(self, jobs: SparkJobs, url: str, workers: Sequence[Server]) -> None:
        self.jobs = jobs
        self.url = url
        self._workers = workers

    def options(self, *, streaming: bool = False) -> list[str]:
        """Return the options of a pipeline that shall run there."""
        return self.jobs.options(streaming=streaming)

    def executors(self) -> list[int]:
        """Return the process ids of the executors that live."""
        groups = {worker.process.pid for worker in self._workers}
        return [pid for pid, group in _processes_of(_EXECUTOR) if group in groups]

    def kill_executor(self) -> None:
        """Kill an executor by SIGKILL, with what it computed and kept; its worker starts another one.

        Raises:
          IndexError: there is none.
        """
        os.kill(self.executors()[0], signal.SIGKILL)

    def check_workers(self) -> None:
        """Ask the master.

        Raises:
          LookupError: not all of the workers have told it that they live.
        """
        with urllib.request.urlopen(f"{self.url}/json/", timeout=10) as answer:
            state: dict[str, Any] = json.load(answer)
        if state["aliveworkers"] < len(self._workers):
            raise LookupError(f"{state['aliveworkers']} of {len(self._workers)} workers are registered")


@contextlib.contextmanager
def spark_cluster(folder: Path, environment: Sequence[str], variables: Mapping[str, str]) -> Iterator[SparkCluster]:
    """Start a master, two workers and a job server, and kill them at the end, however that comes.

    Args:
      folder: for logs and what Spark keeps; it must be empty.
      environment: Beam's options that say where the Python workers are.
      variables: of the environment of executors, and so of Python workers that these start.

    Raises:
      RuntimeError: Java or Maven is missing, or a process did not come up; the message shows its last lines.
    """
    port, web, job_port, *worker_ports = free_ports(5)
    home = {"SPARK_HOME": str(spark_home(folder)), "SPARK_SCALA_VERSION": "2.12", **variables}
    master_url = f"spark://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:

        def start(name: str, flags: Sequence[str], main: str, arguments: Sequence[str]) -> Server:
            command = spark_command(folder, ["-Xmx256m", *flags], main, arguments)
            return stack.enter_context(running(f"Spark's {name}", command, folder / f"{name}.log", environment=home))

        addresses = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web)]
        master = start("master", [], _MASTER, addresses)
        master.wait_until(functools.partial(accepts, port))
        workers = []
        for number, worker_web in enumerate(worker_ports, start=1):
            place = ["--host", "127.0.0.1", "--webui-port", str(worker_web), "--work-dir", str(folder / f"w{number}")]
            size = ["--cores", "1", "--memory", "1g"]
            workers.append(start(f"worker{number}", [], _WORKER, [*place, *size, master_url]))
        jobs = stack.enter_context(job_server(folder, job_port, master_url, ["-Xmx1g"], _SETTINGS, home))
        cluster = SparkCluster(
            SparkJobs(f"127.0.0.1:{job_port}", tuple(environment)), f"http://127.0.0.1:{web}", workers
        )
        master.wait_until(cluster.check_workers, (OSError, LookupError))
        jobs.wait_until(functools.partial(accepts, job_port))
        yield cluster


def _processes_of(main: str) -> Iterator[tuple[int, int]]:
    """Yield id and group of the Java processes that run a class."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if main.encode() in path.read_bytes().split(b"\0"):
                pid = int(path.parent.name)
                yield pid, os.getpgid(pid)
