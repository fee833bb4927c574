"""How many processes of this machine a backfill uses."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Collection
from typing import Final, NamedTuple

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from beam_s3box.cli.options.workers import AUTO
from beam_s3box.engine.run_totals import RunInput
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.runners import is_local
from beam_s3box.records.contents import JSON_KINDS
from beam_s3box.sizes import MiB
from beam_s3box.stores import MemoryStore, Store

LEAST_CORES: Final = 4
LEAST_BYTES: Final = 1_000_000_000
"""Of input: with less, the processes would hardly have begun."""

WORKER_BYTES: Final = 512 * MiB
"""Memory of one worker process, with what is on its way to the store."""

_MEMORY_LIMIT: Final = pathlib.Path("/sys/fs/cgroup/memory.max")


class Machine(NamedTuple):
    """What this process may use.

    Attributes:
      cores: how many.
      memory: bytes.
    """

    cores: int
    memory: int

    @classmethod
    def here(cls) -> Machine:
        """Return what this process may use of its machine, or of its container."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        try:
            return cls(cores, min(whole, int(_MEMORY_LIMIT.read_text())))
        except (OSError, ValueError):
            return cls(cores, whole)  # no container, or none with a limit


def workers_of(
    options: PipelineOptions, store: Store, found: RunInput, kinds: Collection[str], machine: Machine | None = None
) -> int:
    """Return how many processes read and pack; 1 leaves it to the runner.

    Args:
      options: of the job.
      store: the destination.
      found: the input.
      kinds: what the files hold, as far as they were looked into.
      machine: default: this one.

    Raises:
      ConfigurationError: processes are asked for where they can't be.
    """
    workers, why_not = given_of(options).workers, _why_not(options, store)
    if workers != AUTO:
        if workers > 1 and why_not:
            raise ConfigurationError(f"--workers={workers} can't be: {why_not}")
        return int(workers)
    if why_not or (found.bytes or 0) < LEAST_BYTES or not set(kinds) <= set(JSON_KINDS):
        return 1
    cores, memory = machine or Machine.here()
    return max(1, min(cores, memory // WORKER_BYTES)) if cores >= LEAST_CORES else 1


def _why_not(options: PipelineOptions, store: Store) -> str:
    """Return what keeps processes of this machine from packing, empty for nothing."""
    direct = options.view_as(DirectOptions)
    if not is_local(options):
        return "the runner brings workers of its own, which its options number; leave --workers out"
    if direct.direct_running_mode != "in_memory" or direct.direct_num_workers != 1:
        return "Beam's --direct_running_mode and --direct_num_workers number workers, too; leave those out"
    if isinstance(store, MemoryStore):
        return f"{store.root} is memory of one process; write to a folder or to S3"
    return ""
