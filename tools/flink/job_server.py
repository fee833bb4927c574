"""Beam's job server for Flink: takes pipelines, and runs them within itself or hands them to a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.flink.conf import write_checkpoint_conf
from tools.flink.jars import FLINK, NEWEST, Beam
from tools.flink.java import flink_command
from tools.processes import Server, accepts, free_ports, running

_MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_EMBEDDED = "[local]"
_LOCAL_OPTIONS = ("--environment_type=LOOPBACK", "--shutdown_sources_after_idle_ms=0")
"""Workers are in the submitting process, and a stream that has ended ends its job; not for checkpoints."""


@dataclasses.dataclass(frozen=True)
class FlinkJobs:
    """Where jobs for Flink are sent.

    Attributes:
      job_endpoint: host and port of the job service.
      environment: options that say where the Python workers are, and the like; as the embedded Flink needs them.
    """

    job_endpoint: str
    environment: tuple[str, ...] = _LOCAL_OPTIONS

    def options(
        self, *, streaming: bool = False, parallelism: int = 1, checkpoint_seconds: float | None = None
    ) -> list[str]:
        """Return the options of a pipeline that shall run there.

        Args:
          streaming: whether its input is unbounded.
          parallelism: how many of each step; a cluster needs as many slots.
          checkpoint_seconds: from one checkpoint to the next; None: there are none. With them a job whose input
            begins with an Impulse does not end on its own: drain or cancel it.
        """
        options = [
            "--runner=FlinkRunner",
            f"--job_endpoint={self.job_endpoint}",
            *self.environment,
            f"--parallelism={parallelism}",
        ]
        if streaming:
            options.append("--streaming")
        if checkpoint_seconds is not None:
            options.append(f"--checkpointing_interval={round(checkpoint_seconds * 1000)}")
        return options


@contextlib.contextmanager
def flink_local(folder: Path, beam: Beam = NEWEST) -> Iterator[FlinkJobs]:
    """Start a job server that runs each pipeline on a Flink within itself, and kill it at the end, however that comes.

    Args:
      folder: for its log and checkpoints.
      beam: version of the job server.

    Raises:
      RuntimeError: Java or Maven is missing, or it did not come up.
    """
    (port,) = free_ports(1)
    conf = write_checkpoint_conf(folder)
    with job_server(FLINK[beam].folder(), folder, port, _EMBEDDED, conf, ["-Xmx3g"]) as server:
        server.wait_until(functools.partial(accepts, port))
        yield FlinkJobs(f"127.0.0.1:{port}")


def job_server(
    jars: Path, folder: Path, port: int, master: str, conf: Path, flags: Sequence[str]
) -> contextlib.AbstractContextManager[Server]:
    """Start a job server, which comes up a few seconds later.

    Args:
      jars: folder of its class path.
      folder: for its log and files.
      port: of its job service.
      master: address of the JobManager.
      conf: folder of the configuration that jobs are sent with.
      flags: of its virtual machine.
    """
    arguments = [
        f"--flink-master={master}",
        f"--flink-conf-dir={conf}",
        "--job-host=127.0.0.1",
        f"--job-port={port}",
        "--artifact-port=0",
        # it is for pipelines of other languages
        "--expansion-port=-1",
        f"--artifacts-dir={folder / 'artifacts'}",
    ]
    command = flink_command(jars, folder, flags, _MAIN, arguments)
    return running("Flink's job server", command, folder / "job-server.log")
