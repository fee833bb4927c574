"""A Flink cluster of processes on this machine, whose TaskManagers can be killed.

`python -m tools.flink.cluster` runs one in the foreground and prints the options of a job on it.
"""

from __future__ import annotations

import contextlib
import functools
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.flink.conf import TASK_MANAGER_FLAGS, Ports, write_cluster_conf
from tools.flink.jars import FLINK, NEWEST, Beam
from tools.flink.java import flink_command
from tools.flink.job_server import FlinkJobs, job_server
from tools.flink.rest import FlinkRest
from tools.processes import Server, accepts, free_ports, running
from tools.worker_pool import worker_options, worker_pool

_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


class FlinkCluster:
    """A JobManager with TaskManagers of one slot each, a job server and Python workers; made by `flink_cluster`.

    Attributes:
      rest: asks the JobManager.
      jobs: where pipelines are sent.
      folder: of logs, checkpoints and savepoints.
      servers: its processes by name; `tm1` is the first TaskManager.
    """

    def __init__(self, rest: FlinkRest, jobs: FlinkJobs, folder: Path, jars: Path, stack: contextlib.ExitStack) -> None:
        self.rest = rest
        self.jobs = jobs
        self.folder = folder
        self.servers: dict[str, Server] = {}
        self._jars = jars
        self._stack = stack

    def options(
        self, *, streaming: bool = False, parallelism: int = 1, checkpoint_seconds: float | None = None
    ) -> list[str]:
        """Return the options of a pipeline that shall run there; `FlinkJobs.options` says more."""
        return self.jobs.options(streaming=streaming, parallelism=parallelism, checkpoint_seconds=checkpoint_seconds)

    def start(self, name: str, server: contextlib.AbstractContextManager[Server]) -> None:
        """Add a process, which goes with the cluster."""
        self.servers[name] = self._stack.enter_context(server)

    def start_task_manager(self) -> str:
        """Start one more TaskManager, wait until it is registered, and return its name."""
        name = self.launch_task_manager()
        self.wait_for_task_manager(name)
        return name

    def launch_task_manager(self) -> str:
        """Start one more TaskManager, and return its name before it is registered."""
        name = f"tm{1 + sum(started.startswith('tm') for started in self.servers)}"
        arguments = ["--configDir", str(self.folder / "conf"), "-D", f"taskmanager.resource-id={name}"]
        command = flink_command(self._jars, self.folder, TASK_MANAGER_FLAGS, _TASK_MANAGER, arguments)
        self.start(name, running(f"Flink's TaskManager {name}", command, self.folder / f"{name}.log"))
        return name

    def wait_for_task_manager(self, name: str) -> None:
        """Wait until a TaskManager is registered.

        Raises:
          RuntimeError: it ended before, or a minute went by.
        """
        self.servers[name].wait_until(functools.partial(self._check_task_manager, name), (OSError, LookupError))

    def kill_task_manager(self, name: str) -> None:
        """Kill a TaskManager by SIGKILL; the JobManager learns of it when the heartbeat or a connection fails."""
        self.servers[name].kill()

    def replace_job_manager(self) -> None:
        """Kill the JobManager by SIGKILL, and start another one: it knows of no job, as without high availability."""
        self.servers["jm"].kill()
        self.start("jm", _job_manager(self._jars, self.folder, self.folder / "conf"))
        self.servers["jm"].wait_until(self.rest.task_managers)
        for name in self.live_task_managers():
            self.wait_for_task_manager(name)

    def live_task_managers(self) -> set[str]:
        """Return the names of those whose processes live."""
        return {name for name, one in self.servers.items() if name.startswith("tm") and one.process.poll() is None}

    def busy_task_managers(self) -> set[str]:
        """Return the names of those that live and have a slot in use."""
        return self.live_task_managers() & self.rest.task_managers(busy=True)

    def _check_task_manager(self, name: str) -> None:
        if name not in self.rest.task_managers():
            raise LookupError(f"{name} is not registered")


@contextlib.contextmanager
def flink_cluster(
    folder: Path,
    task_managers: int = 2,
    environment: Mapping[str, str] | None = None,
    checkpoint_seconds: float | None = None,
    beam: Beam = NEWEST,
) -> Iterator[FlinkCluster]:
    """Start a cluster, and kill its processes at the end, however that comes.

    Args:
      folder: for its logs, checkpoints and savepoints; it must be empty.
      task_managers: how many to begin with.
      environment: variables of the Python workers, as the keys for S3.
      checkpoint_seconds: from one checkpoint to the next in the cluster's own configuration; None: it has none.
      beam: version of Beam's runner, which has the job server and what it sends to the cluster.

    Raises:
      RuntimeError: Java or Maven is missing, or a process did not come up; the message shows its last lines.
    """
    jars = FLINK[beam].folder()
    rest_port, rpc_port, job_port, pool_port = free_ports(4)
    conf = write_cluster_conf(folder, Ports(rest_port, rpc_port), checkpoint_seconds)
    with contextlib.ExitStack() as stack:
        rest = FlinkRest(f"http://127.0.0.1:{rest_port}")
        cluster = FlinkCluster(rest, FlinkJobs(f"127.0.0.1:{job_port}", worker_options(pool_port)), folder, jars, stack)
        # all at once, because each takes seconds
        cluster.start("jm", _job_manager(jars, folder, conf))
        names = [cluster.launch_task_manager() for _ in range(task_managers)]
        cluster.start("jobs", job_server(jars, folder, job_port, f"127.0.0.1:{rest_port}", conf, ["-Xmx512m"]))
        cluster.start("pool", worker_pool(folder, pool_port, environment or {}))
        cluster.servers["jm"].wait_until(rest.task_managers)
        for name in names:
            cluster.wait_for_task_manager(name)
        cluster.servers["jobs"].wait_until(functools.partial(accepts, job_port))
        cluster.servers["pool"].wait_until(functools.partial(accepts, pool_port))
        yield cluster


def _job_manager(jars: Path, folder: Path, conf: Path) -> contextlib.AbstractContextManager[Server]:
    arguments = ["--configDir", str(conf), "--executionMode", "cluster"]
    command = flink_command(jars, folder, ["-Xmx512m"], _JOB_MANAGER, arguments)
    return running("Flink's JobManager", command, folder / "jm.log")


def main() -> None:
    """Run a cluster until Ctrl-C or SIGTERM."""
    # as an exception, so that the cluster is stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="flink-", ignore_cleanup_errors=True) as folder,
        flink_cluster(Path(folder)) as cluster,
    ):
        print(shlex.join(cluster.options(streaming=True, checkpoint_seconds=5)))
        print(f"# {cluster.rest.url} shows its jobs; Ctrl-C stops it", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
