"""A stream of Kinesis to listed shards, by the streaming job on real engines and a real server: each record once."""

from __future__ import annotations

import json
import pathlib
import time

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.sources.kinesis.positions import END
from beam_s3box.stores import Store
from tests.readback import read_back
from tests.runners.aws_job import Fed, killed_in_the_midst, source_job
from tests.runners.engines import Engine, cancelled
from tests.runners.kafka_job import check_once_each
from tests.runners.test_streams import fresh_store
from tools.flink.cluster import FlinkCluster
from tools.kinesis import Kinesis
from tools.seaweedfs import REGION, Server

BATCH = 100
BATCHES = 60
MORE = 500


def batch(number: int) -> list[bytes]:
    ids = range(number * BATCH, (number + 1) * BATCH)
    return [json.dumps({"id": i, "carrier": f"C{i % 5}", "origin": f"O{i % 3}"}).encode() for i in ids]


def reading(kinesis: Kinesis, stream: str) -> list[str]:
    return [
        *(f"--kinesis_stream={stream}", f"--kinesis_region={REGION}", f"--kinesis_endpoint_url={kinesis.endpoint_url}"),
        *("--readers=2", "--idle_timeout=2", "--window=fixed:5"),
    ]


@pytest.mark.parametrize("name", ["prism", "flink_local"])
def test_a_shard_is_split_and_two_are_merged_while_two_readers_read(
    name: str, kinesis: Kinesis, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    engine: Engine = request.getfixturevalue(name)
    store, stream = fresh_store(s3_server), f"split-{new_token(6)}"
    kinesis.create(stream, 3)

    def feed(number: int) -> None:
        if number == BATCHES // 3:
            kinesis.split(stream)
        if number == BATCHES * 2 // 3:
            kinesis.merge(stream)
        kinesis.put(stream, batch(number))

    arguments = [*reading(kinesis, stream), *engine.options(streaming=True)]
    feeder = Fed(feed, BATCHES, 0.05)
    with source_job(store, s3_server, tmp_path, "first", *arguments) as job:
        job.wait_until(lambda: job.listed() == BATCH * BATCHES, seconds=240)
        kinesis.put(stream, [b"no json"])
        time.sleep(8 if name == "flink_local" else 3)
        job.stop()
        run = job.run()
    feeder.end()
    found = read_back(store)
    check_once_each(found, BATCH * BATCHES)
    [letter] = found.dead_letters
    assert letter["source"].startswith(f"kinesis://{stream}/shardId-")
    assert letter["raw"] == "no json"
    assert int(letter["offset"]) > 10**40, "the sequence number"
    assert run.record.state == "finished"
    assert run.record.input is not None
    positions = run.record.input.positions["kinesis"]
    assert sum(ends["next"] == END for ends in positions.values()) == 3
    assert len(positions) == 6
    if name == "prism":
        goes_on(kinesis, stream, arguments, store, s3_server, tmp_path)


def goes_on(
    kinesis: Kinesis, stream: str, arguments: list[str], store: Store, server: Server, folder: pathlib.Path
) -> None:
    """Check that a second run begins where the first one ended."""
    for number in range(BATCHES, BATCHES + MORE // BATCH):
        kinesis.put(stream, batch(number))
    with source_job(store, server, folder, "second", "--kinesis_start=run:first", *arguments) as job:
        job.wait_until(lambda: job.listed() >= MORE)
        job.stop()
    check_once_each(read_back(store), BATCH * BATCHES + MORE)


def test_a_task_manager_is_killed(
    flink_cluster: FlinkCluster, kinesis: Kinesis, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, stream = fresh_store(s3_server), f"killed-{new_token(6)}"
    kinesis.create(stream, 3)
    options = flink_cluster.options(streaming=True, checkpoint_seconds=5)
    arguments = [*reading(kinesis, stream), "--kinesis_start=earliest", f"--job_name={stream}", *options]
    with cancelled(flink_cluster.rest, stream), source_job(store, s3_server, tmp_path, "r", *arguments) as job:
        feeder = Fed(lambda number: kinesis.put(stream, batch(number)), BATCHES, 0.5)
        killed_in_the_midst(flink_cluster, job, stream)
        feeder.join()
        job.wait_until(lambda: job.listed() == BATCH * BATCHES, seconds=240)
        job.stop()
        assert job.run().record.state == "finished"
    check_once_each(read_back(store), BATCH * BATCHES)
