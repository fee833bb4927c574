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
from tools.worker_pool import worker_options, worker_pool

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
_EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
_ROOT = Path(__file__).resolve().parents[2]
_POM = Path(__file__).with_name("pom.xml")
_SETTINGS = {
    "spark.executor.memory": "512m",
    # one that dies over and over is the test's doing
    "spark.task.maxFailures": "20",
    "spark.executor.extraJavaOptions": "-XX:-UsePerfData -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}
_OPTIONS = (f"--files_to_stage={_POM}", "--environment_cache_millis=60000")
"""Executors have all jars, or the job server would send them each of these; they keep their workers for a minute."""


class SparkCluster:
    """A master with workers of one core each, a job server and Python workers; made by `spark_cluster`.

    Attributes:
      jobs: where pipelines are sent.
      url: where the master shows its workers.
      pool: starts the Python workers.
    """

    def __init__(self, jobs: SparkJobs, url: str, workers: Sequence[Server], pool: Server) -> None:
        self.jobs = jobs
        self.url = url
        self.pool = pool
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
          LookupError: not all of the workers have registered.
        """
        with urllib.request.urlopen(f"{self.url}/json/", timeout=10) as answer:
            state: dict[str, Any] = json.load(answer)
        if state["aliveworkers"] < len(self._workers):
            raise LookupError(f"{state['aliveworkers']} of {len(self._workers)} workers are registered")


@contextlib.contextmanager
def spark_cluster(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[SparkCluster]:
    """Start a master, two workers, a job server and Python workers, and kill them at the end, however that comes.

    Args:
      folder: for logs and what Spark keeps; it must be empty.
      environment: variables of the Python workers, as the keys for S3.

    Raises:
      RuntimeError: Java or Maven is missing, or a process did not come up; the message shows its last lines.
    """
    port, web, job_port, pool_port, *worker_ports = free_ports(6)
    home = {
        "SPARK_HOME": str(spark_home(folder)),
        "SPARK_SCALA_VERSION": "2.12",
        # workers that executors start import this checkout
        "PYTHONPATH": str(_ROOT),
        **(environment or {}),
    }
    master_url = f"spark://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:

        def start(name: str, main: str, arguments: Sequence[str]) -> Server:
            command = spark_command(folder, ["-Xmx256m"], main, arguments)
            return stack.enter_context(running(f"Spark's {name}", command, folder / f"{name}.log", environment=home))

        master = start("master", _MASTER, ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web)])
        jobs = stack.enter_context(job_server(folder, job_port, master_url, ["-Xmx1g"], _SETTINGS, home))
        pool = stack.enter_context(worker_pool(folder, pool_port, environment or {}))
        master.wait_until(functools.partial(accepts, port))
        workers = []
        for number, worker_web in enumerate(worker_ports, start=1):
            place = ["--host", "127.0.0.1", "--webui-port", str(worker_web), "--work-dir", str(folder / f"w{number}")]
            workers.append(start(f"worker{number}", _WORKER, [*place, "--cores", "1", "--memory", "1g", master_url]))
        options = (*worker_options(pool_port), *_OPTIONS)
        cluster = SparkCluster(SparkJobs(f"127.0.0.1:{job_port}", options), f"http://127.0.0.1:{web}", workers, pool)
        master.wait_until(cluster.check_workers, (OSError, LookupError))
        jobs.wait_until(functools.partial(accepts, job_port))
        pool.wait_until(functools.partial(accepts, pool_port))
        yield cluster


def _processes_of(main: str) -> Iterator[tuple[int, int]]:
    """Yield id and group of the Java processes that run a class."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if main.encode() in path.read_bytes().split(b"\0"):
                pid = int(path.parent.name)
                yield pid, os.getpgid(pid)
