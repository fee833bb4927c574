"""The stream job goes back to a checkpoint from before it found files: their records are listed once, and not again later.

None of these records has a time of its own that could be used: they count for when their file arrived.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store
from tests.readback import read_back
from tests.runners.engines import cancelled
from tests.runners.feed import ROOT
from tests.runners.streamed import listed_so_far
from tests.runners.test_engines import eventually
from tests.runners.test_kill_task_manager import kill_the_busy_one, restored_within
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.flink.cluster import FlinkCluster
from tools.flink.rest import FlinkRest
from tools.seaweedfs import Server

CHECKPOINT_SECONDS = 30.0
"""Long enough that records which are found after one are listed before the next."""

STREAMS = ("untimed", "ahead", "late")
FILES = 3
"""That land at a time, each with a record of each stream."""


def test_arrival_times_stay_when_the_job_goes_back(
    flink_cluster: FlinkCluster, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    rest, store, name = flink_cluster.rest, fresh_store(s3_server), f"arrivals-{new_token(8)}"
    landing = tmp_path / "landing"
    landing.mkdir()
    command = [
        *(sys.executable, "-m", "pipelines.stream"),
        f"--input={landing}/*.jsonl",
        f"--destination={store.root}",
        *("--domain=arrivals", "--namespace_field=n", "--timestamp_field=t", "--watermark_delay=0"),
        *("--window=fixed:5", "--max_seconds=2", "--poll_interval=1", "--min_age=0", f"--job_name={name}"),
        *s3_arguments(s3_server),
        *flink_cluster.options(streaming=True, checkpoint_seconds=CHECKPOINT_SECONDS),
    ]
    with (tmp_path / "job.log").open("w") as said, cancelled(rest, name):
        job = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        try:
            count = go_back(flink_cluster, name, store, landing)
        finally:
            job.kill()
            job.wait()
    found = read_back(store)
    listed = sorted((record["n"], record["i"]) for record in found.all_records())
    assert listed == sorted((stream, number) for stream in STREAMS for number in range(count))
    assert found.unlisted, "nothing was done again: this shows nothing"


def go_back(cluster: FlinkCluster, name: str, store: Store, landing: pathlib.Path) -> int:
    """Kill the job when it has listed files that it found after its last checkpoint; return how many files landed."""
    job_id = eventually(lambda: cluster.rest.job_named(name).id)
    assert eventually(lambda: cluster.rest.is_running(job_id))
    count = listed_between_two_checkpoints(cluster.rest, job_id, store, landing)
    kill_the_busy_one(cluster)
    restored_within(cluster, job_id, seconds=90)
    land(landing, count)
    # the job finds all files in one look, and windows of a stream end in their order
    wait_until_listed(store, count + FILES)
    return count + FILES


def listed_between_two_checkpoints(rest: FlinkRest, job_id: str, store: Store, landing: pathlib.Path) -> int:
    """Let files land, until the last of them are listed before the next checkpoint; return how many landed."""
    for count in range(0, 5 * FILES, FILES):
        known = next_checkpoint(rest, job_id)
        land(landing, count)
        wait_until_listed(store, count + FILES)
        if rest.completed_checkpoints(job_id) == known:
            return count + FILES
    raise AssertionError("no window ended between two checkpoints: the machine is too slow for this test")


def next_checkpoint(rest: FlinkRest, job_id: str) -> int:
    """Wait until one more checkpoint is completed, and return how many are."""
    known = rest.completed_checkpoints(job_id)
    assert eventually(lambda: rest.completed_checkpoints(job_id) > known)
    return rest.completed_checkpoints(job_id)


def land(landing: pathlib.Path, first: int) -> None:
    """Put files into the folder, whole, each with a record of each stream."""
    for number in range(first, first + FILES):
        times = (None, time.time() + 100_000, time.time() - 100_000)
        records = [{"n": name, "i": number, "t": at} for name, at in zip(STREAMS, times, strict=True)]
        partial = landing / f"{number}.partial"
        partial.write_text("".join(json.dumps(record) + "\n" for record in records))
        partial.rename(landing / f"{number}.jsonl")


def wait_until_listed(store: Store, count: int) -> None:
    """Wait until all records of so many files are listed, at least once."""
    landed = {(stream, number) for stream in STREAMS for number in range(count)}
    assert eventually(lambda: {(record["n"], record["i"]) for record in listed_so_far(store)} == landed)
