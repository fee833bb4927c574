"""The engines under faults: Flink and Spark as clusters of processes, and Prism."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tools.chaos.faults import MAX_PAUSE_SECONDS, disturb_s3
from tools.chaos.world import Round, World
from tools.flink.cluster import FlinkCluster, flink_cluster
from tools.flink.jars import Beam
from tools.flink.rest import ENDED
from tools.prism import Prism, prism_server
from tools.processes import Server, members_of
from tools.spark.cluster import SparkCluster, spark_cluster

DEAD_SECONDS = 24.0
"""After which Flink has declared a TaskManager dead that says nothing; more than its heartbeat's time limit."""

_APPEAR_SECONDS = 60.0


class Engine(Protocol):
    """An engine that runs.

    Attributes:
      kinds: of faults that it can meet.
    """

    kinds: tuple[str, ...]

    def options(self, *, streaming: bool = False, checkpoint_seconds: float | None = None) -> list[str]:
        """Return the options of a pipeline that shall run there."""
        ...

    def harm(self, kind: str, round: Round) -> None:
        """Do one of these things to it, while it runs a pipeline."""
        ...


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """Let processes stand still within the block."""
    signal_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


def found(look: Callable[[], list[int]]) -> list[int]:
    """Look for processes until there are some, for a while."""
    deadline = time.monotonic() + _APPEAR_SECONDS
    while not (pids := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return pids


class Flink:
    """Two TaskManagers, of which one has the job, and Python workers."""

    kinds = (
        "worker kill",
        "worker stop",
        "TaskManager kill",
        "TaskManager replace",
        "worker replace",
        "JobManager stop",
        "S3 stop",
    )

    def __init__(self, world: World, beam: Beam) -> None:
        folder = world.folder / f"flink-{beam}"
        folder.mkdir()
        self.cluster: FlinkCluster = world.stack.enter_context(
            flink_cluster(folder, environment=world.environment, beam=beam)
        )

    def options(self, *, streaming: bool = False, checkpoint_seconds: float | None = None) -> list[str]:
        return self.cluster.options(streaming=streaming, checkpoint_seconds=checkpoint_seconds)

    def harm(self, kind: str, round: Round) -> None:
        """Do something to it.

        `TaskManager replace`: it and its worker stand still until the job runs elsewhere, and wake then; `worker
        replace`: the TaskManager dies, and the worker that it had stands still and wakes when there is another one;
        `JobManager kill`: with it go the jobs, and their workers may end what they have in hand.
        """
        pause = round.random.uniform(0.05, MAX_PAUSE_SECONDS)
        if kind.startswith("JobManager"):
            self._harm_job_manager(kind, pause)
            round.faults[kind] += 1
            return
        workers = found(self._workers)
        if kind == "worker kill":
            signal_all(workers, signal.SIGKILL)
        elif kind == "worker stop":
            with stopped(workers):
                time.sleep(pause)
        elif kind == "S3 stop":
            disturb_s3(kind, round, pause)
        elif kind == "worker replace":
            with stopped(workers):
                self._kill_busy()
                # until another worker is at work, and a little longer
                found(lambda: [pid for pid in self._workers() if pid not in workers])
                time.sleep(pause)
        else:
            busy = self._busy()
            if kind == "TaskManager kill":
                self._kill_busy()
            else:
                pids = [pid for name in busy for pid in [self.cluster.servers[name].process.pid]]
                with stopped([*pids, *workers]):
                    time.sleep(DEAD_SECONDS + pause)
        round.faults[kind] += 1

    def revive(self) -> None:
        """Start TaskManagers until two live, as those that woke up too late may not, and end jobs that are left."""
        while len(self.cluster.live_task_managers()) < 2:
            self.cluster.start_task_manager()
        for job in self.cluster.rest.jobs():
            if job.state not in ENDED:
                self.cluster.rest.cancel(job.id)

    def _harm_job_manager(self, kind: str, pause: float) -> None:
        if kind == "JobManager kill":
            self.cluster.replace_job_manager()
        else:
            with stopped([self.cluster.servers["jm"].process.pid]):
                time.sleep(2 * pause)

    def _workers(self) -> list[int]:
        return members_of(self.cluster.servers["pool"].process.pid)

    def _busy(self) -> list[str]:
        return sorted(self.cluster.busy_task_managers())

    def _kill_busy(self) -> None:
        for name in self._busy():
            self.cluster.kill_task_manager(name)
            self.cluster.start_task_manager()


class Spark:
    """Two executors of one core each, and Python workers."""

    kinds = ("executor kill", "executor stop", "worker kill", "worker stop", "S3 stop")

    def __init__(self, world: World) -> None:
        folder = world.folder / "spark"
        folder.mkdir()
        self.cluster: SparkCluster = world.stack.enter_context(spark_cluster(folder, world.environment))

    def options(self, *, streaming: bool = False, checkpoint_seconds: float | None = None) -> list[str]:
        return self.cluster.options(streaming=streaming)

    def harm(self, kind: str, round: Round) -> None:
        pause = round.random.uniform(0.05, 2 * MAX_PAUSE_SECONDS)
        executor, worker = found(self.cluster.executors)[:1], found(self._workers)[:1]
        if kind == "S3 stop":
            disturb_s3(kind, round, pause)
        else:
            pids = executor if kind.startswith("executor") else worker
            if kind.endswith("kill"):
                signal_all(pids, signal.SIGKILL)
            else:
                with stopped(pids):
                    time.sleep(pause)
        round.faults[kind] += 1

    def revive(self) -> None:
        """Do nothing: its workers start executors themselves."""

    def _workers(self) -> list[int]:
        return members_of(self.cluster.pool.process.pid)


class OwnPrism:
    """Beam's local runner, which has its workers in the process that submits the pipeline."""

    kinds = ("Prism stop", "S3 stop")

    def __init__(self, world: World) -> None:
        self._folder = world.folder / "prism"
        self._folder.mkdir()
        self._stack = world.stack.enter_context(contextlib.ExitStack())
        self.prism: Prism = self._stack.enter_context(prism_server(self._folder))

    def options(self, *, streaming: bool = False, checkpoint_seconds: float | None = None) -> list[str]:
        return self.prism.options(streaming=streaming)

    def harm(self, kind: str, round: Round) -> None:
        pause = round.random.uniform(0.05, MAX_PAUSE_SECONDS)
        if kind == "Prism kill":
            self._stack.close()
            self.prism = self._stack.enter_context(prism_server(self._folder))
        elif kind == "Prism stop":
            with stopped([self._server.process.pid]):
                time.sleep(pause)
        else:
            disturb_s3(kind, round, pause)
        round.faults[kind] += 1

    def revive(self) -> None:
        """Do nothing: it is started again at once."""

    @property
    def _server(self) -> Server:
        if self.prism.process is None:
            raise AssertionError("it was started here")
        return self.prism.process
