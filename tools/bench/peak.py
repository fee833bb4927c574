"""Run the backfill job in this process and print its peak memory: `python -m tools.bench.peak OPTIONS`."""

from __future__ import annotations

import json
import sys
import time

from beam_s3box.cli.main import main
from tools.bench.measure import peak_bytes


def peak() -> None:
    """Run the job and print seconds and peak bytes as JSON."""
    begun = time.perf_counter()
    code = main(["backfill", *sys.argv[1:]])
    if code:
        raise SystemExit(code)
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    peak()
