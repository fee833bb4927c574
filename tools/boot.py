"""Python workers without Docker: an engine starts Beam's `boot` as a process, which starts the worker.

`python -m tools.boot` builds it where it is missing and prints the options of a pipeline with such workers.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from tools.go import GoProgram

BOOT = GoProgram("boot", "python/container")
"""What starts the worker in Beam's images, too; 10 s to build."""

_ROOT = Path(__file__).resolve().parent.parent


def process_options() -> tuple[str, ...]:
    """Return the options of a pipeline whose workers run on the machines of the engine, with this Python and checkout.

    Raises:
      RuntimeError: Go is missing, or the build failed.
    """
    environment = {
        # without it, boot makes a virtual environment for each worker
        "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1",
        # it starts `python`
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "PYTHONPATH": str(_ROOT),
    }
    configuration = {"command": str(BOOT.binary()), "env": environment}
    return (
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps(configuration)}",
        # else Spark starts workers for each stage
        "--environment_cache_millis=60000",
    )


if __name__ == "__main__":
    print(shlex.join(process_options()))
