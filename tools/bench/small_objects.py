"""Print what a small object of input takes, in processor time: `python -m tools.bench.small_objects`."""

from __future__ import annotations

import concurrent.futures
import resource
import subprocess
import sys
import time
from typing import NamedTuple

from tools.bench.goals import Line, report
from tools.bench.measure import use
from tools.seaweedfs import Server, seaweedfs

OBJECTS = 1_000
OBJECT_BYTES = 10_000
GOAL_MILLIS = 15
GOAL_SECONDS = 20
ROUNDS = 3


class Spent(NamedTuple):
    """What a backfill took, in seconds."""

    processor: float
    wall: float


def main() -> None:
    """Measure and print."""
    with seaweedfs("bench") as server:
        use(server)
        record = b'{"d":"a","pad":"%s"}\n' % (b"x" * 79)
        client = server.client()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for number in range(OBJECTS):
                body = record * (OBJECT_BYTES // len(record))
                pool.submit(client.put_object, Bucket=server.bucket, Key=f"in/{number:04}.jsonl", Body=body)
        rounds = [(backfill(server, "in/000*.jsonl"), backfill(server, "in/*.jsonl")) for _ in range(ROUNDS)]
    millis = [(all_.processor - few.processor) / (OBJECTS - 10) * 1_000 for few, all_ in rounds]
    size = f"of {OBJECT_BYTES / 1_000:.0f} KB"
    report(
        "small_objects",
        [
            Line(f"a small object of input, {size}, ms of processor time", millis, GOAL_MILLIS),
            Line(f"{OBJECTS:,} objects {size}, seconds", [all_.wall for _, all_ in rounds], GOAL_SECONDS),
        ],
    )


def backfill(server: Server, pattern: str) -> Spent:
    """Backfill the objects that match, in a process of its own."""
    command = [
        sys.executable, "-m", "beam_s3box", "backfill", "--input", f"s3://{server.bucket}/{pattern}",
        "--destination", f"s3://{server.bucket}/out", "--domain_field", "d", "--namespace", "n",
        "--s3_endpoint_url", server.endpoint_url, "--s3_region_name", "us-east-1",
    ]  # fmt: skip
    before, begun = _processor(), time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return Spent(_processor() - before, time.monotonic() - begun)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
