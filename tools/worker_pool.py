"""Start a Python worker for each that an engine asks for: `python -m tools.worker_pool PORT`.

Beam's own `worker_pool_main` is the same, but listens on all addresses, where anybody may have it run a worker.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor

from tools.processes import Server, running

_ROOT = Path(__file__).resolve().parent.parent


def worker_options(port: int) -> tuple[str, ...]:
    """Return the options of a pipeline whose workers the pool at this port starts."""
    return ("--environment_type=EXTERNAL", f"--environment_config=127.0.0.1:{port}")


def worker_pool(folder: Path, port: int, environment: Mapping[str, str]) -> contextlib.AbstractContextManager[Server]:
    """Start a pool, which comes up a second later, and kill it with its workers at the end, however that comes.

    Args:
      folder: for its log.
      port: where it listens.
      environment: variables of the workers, as the keys for S3.
    """
    # workers import this checkout, wherever the caller stands
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "tools.worker_pool", str(port)]
    return running("Beam's worker pool", command, folder / "pool.log", environment={"PYTHONPATH": path, **environment})


def main() -> None:
    """Serve until it is killed, with the workers, which are in its process group."""
    # the workers are started as `python`, whichever that is
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    servicer = BeamFnExternalWorkerPoolServicer(use_process=True)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{int(sys.argv[1])}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
