"""Run the backfill job in this process and print its peak memory: `python -m tools.bench.peak OPTIONS`."""

from __future__ import annotations

import json
import resource
import sys
import time

from pipelines.backfill import main


def peak() -> None:
    """Run the job and print seconds and peak bytes as JSON."""
    begun = time.perf_counter()
    code = main(sys.argv[1:])
    if code:
        raise SystemExit(code)
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak_bytes": maximum}))


if __name__ == "__main__":
    peak()
