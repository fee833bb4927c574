"""The `flink-conf.yaml` of the cluster and of the embedded Flink: everything on this machine, and small."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_MEMORY = {
    # Flink's start scripts would compute these
    "taskmanager.cpu.cores": "1.0",
    "taskmanager.memory.task.heap.size": "512m",
    "taskmanager.memory.task.off-heap.size": "64m",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.network.min": "128m",
    "taskmanager.memory.network.max": "128m",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "128m",
    "taskmanager.memory.jvm-overhead.max": "128m",
}
TASK_MANAGER_FLAGS = ("-Xms640m", "-Xmx640m", "-XX:MaxDirectMemorySize=320m", "-XX:MaxMetaspaceSize=256m")
"""The same sums for the virtual machine: heap = task + framework, direct memory = both off-heaps + network."""


class Ports(NamedTuple):
    """Where a JobManager listens: for HTTP, and for its TaskManagers."""

    rest: int
    rpc: int


def write_checkpoint_conf(folder: Path) -> Path:
    """Write the configuration that jobs of an embedded Flink are sent with, and return its folder."""
    return _write(folder / "job-conf", _files(folder))


def write_cluster_conf(folder: Path, ports: Ports, checkpoint_seconds: float | None = None) -> Path:
    """Write the configuration of a cluster's processes, and return its folder.

    Args:
      folder: of the cluster.
      ports: where its JobManager listens.
      checkpoint_seconds: from one checkpoint to the next, of jobs that say nothing of it; None: they have none.
    """
    addresses = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": str(ports.rpc),
        "jobmanager.bind-host": "127.0.0.1",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": str(ports.rest),
    }
    behaviour = {
        "taskmanager.numberOfTaskSlots": "1",
        "classloader.resolve-order": "parent-first",
        "state.backend.type": "hashmap",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "20",
        "restart-strategy.fixed-delay.delay": "1 s",
        "heartbeat.interval": "1000",
        # less runs out on a busy machine
        "heartbeat.timeout": "20000",
        "io.tmp.dirs": str(folder),
    }
    if checkpoint_seconds is not None:
        behaviour["execution.checkpointing.interval"] = f"{round(checkpoint_seconds * 1000)} ms"
    return _write(folder / "conf", addresses | behaviour | _MEMORY | _files(folder))


def _files(folder: Path) -> dict[str, str]:
    return {
        "state.checkpoints.dir": (folder / "checkpoints").as_uri(),
        "state.savepoints.dir": (folder / "savepoints").as_uri(),
    }


def _write(folder: Path, values: dict[str, str]) -> Path:
    folder.mkdir()
    (folder / "flink-conf.yaml").write_text("".join(f"{name}: {value}\n" for name, value in values.items()))
    return folder
