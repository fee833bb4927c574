"""Runs a command and prints what its whole process tree took: `python -m tools.bench.tree COMMAND ARGUMENT...`.

Processes that outlive the command are waited for, too. Seconds are until the command itself ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from typing import Final

from tools.bench.measure import peak_bytes

_CHILD_SUBREAPER: Final = 36
"""Of Linux's prctl: children of children that ended become children of this process, so that their time is known."""


def main() -> None:
    """Run the command, and print one JSON object; its own output goes to standard error."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    begun = time.perf_counter()
    code = subprocess.run(sys.argv[1:], stdout=sys.stderr, check=False).returncode
    seconds = time.perf_counter() - begun
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, peak = used.ru_utime + used.ru_stime, peak_bytes(resource.RUSAGE_CHILDREN)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_bytes": peak}))
    raise SystemExit(code)


if __name__ == "__main__":
    main()
