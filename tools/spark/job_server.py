"""Beam's job server for Spark: takes pipelines, and runs them within itself or on a cluster.

`python -m tools.spark.job_server` runs one in the foreground and prints the options of a job on it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.processes import Server, accepts, free_ports, running
from tools.spark.java import spark_command

_MAIN = "org.apache.beam.runners.spark.SparkJobServerDriver"
_WITHIN = "local[2]"


@dataclasses.dataclass(frozen=True)
class SparkJobs:
    """Where jobs for Spark are sent.

    Attributes:
      job_endpoint: host and port of the job service.
      environment: options that say where the Python workers are.
    """

    job_endpoint: str
    environment: tuple[str, ...] = ("--environment_type=LOOPBACK",)

    def options(self, *, streaming: bool = False) -> list[str]:
        """Return the options of a pipeline that shall run there; its input must be bounded."""
        options = ["--runner=SparkRunner", f"--job_endpoint={self.job_endpoint}", *self.environment]
        return [*options, "--streaming"] if streaming else options


@contextlib.contextmanager
def spark_local(folder: Path) -> Iterator[SparkJobs]:
    """Start a job server that runs pipelines on a Spark within itself, and kill it at the end, however that comes.

    Args:
      folder: for its log and files.

    Raises:
      RuntimeError: Java or Maven is missing, or it did not come up.
    """
    (port,) = free_ports(1)
    with job_server(folder, port, _WITHIN, ["-Xmx2g"]) as server:
        server.wait_until(functools.partial(accepts, port))
        yield SparkJobs(f"127.0.0.1:{port}")


def job_server(
    folder: Path,
    port: int,
    master: str,
    flags: Sequence[str],
    settings: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> contextlib.AbstractContextManager[Server]:
    """Start a job server, which comes up a few seconds later.

    Args:
      folder: for its log and files.
      port: of its job service.
      master: URL of Spark's master.
      flags: of its virtual machine.
      settings: of Spark, by their names.
      environment: its variables, in addition to ours.
    """
    everywhere = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(folder),
        **(settings or {}),
    }
    arguments = [
        f"--spark-master-url={master}",
        "--job-host=127.0.0.1",
        f"--job-port={port}",
        "--artifact-port=0",
        # it is for pipelines of other languages
        "--expansion-port=-1",
        f"--artifacts-dir={folder / 'artifacts'}",
    ]
    given = [*flags, *(f"-D{name}={value}" for name, value in everywhere.items())]
    command = spark_command(folder, given, _MAIN, arguments)
    return running("Spark's job server", command, folder / "job-server.log", environment=environment)


def main() -> None:
    """Run a job server until Ctrl-C or SIGTERM."""
    # as an exception, so that the server is stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="spark-", ignore_cleanup_errors=True) as folder,
        spark_local(Path(folder)) as jobs,
    ):
        print(shlex.join(jobs.options()), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
