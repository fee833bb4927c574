"""Topics of Kafka to listed shards, by the streaming job on real engines and a real broker: each record once."""

from __future__ import annotations

import pathlib
import signal
import time
from collections.abc import Iterator

import pytest

from beam_s3box.shards.runs import new_token
from tests.readback import read_back
from tests.runners.engines import Engine, cancelled
from tests.runners.kafka_job import check_once_each, kafka_job
from tests.runners.test_kill_task_manager import kill_the_busy_one, restored_within
from tests.runners.test_streams import fresh_store
from tools.flink.cluster import FlinkCluster
from tools.kafka.broker import KafkaBroker
from tools.kafka.produce import Feeder, produce, record
from tools.seaweedfs import Server

HISTORY = 100_000
HOUR_MILLIS = 3_600_000
POISON = (b"no json", b"\0\0\0\0\x07avro", b"[1]", b"")


def history(begin: int) -> Iterator[tuple[int, bytes | None, int]]:
    """Yield an hour of records: partition, value, time; with values that are none among them."""
    for number in range(HISTORY):
        yield number % 3, record(number, 0), begin + number * HOUR_MILLIS // HISTORY
    for value in (*POISON, None):
        yield 1, value, begin + HOUR_MILLIS


@pytest.mark.parametrize(("name", "readers"), [("prism", 2), ("flink_local", 2)])
def test_an_hour_of_history_is_on_time(
    name: str,
    readers: int,
    kafka: KafkaBroker,
    request: pytest.FixtureRequest,
    s3_server: Server,
    tmp_path: pathlib.Path,
) -> None:
    engine: Engine = request.getfixturevalue(name)
    store, topic = fresh_store(s3_server), f"history-{new_token(6)}"
    kafka.create_topic(topic, 4)  # one of which has nothing
    produce(kafka.address, topic, history(int(time.time() * 1000) - 2 * HOUR_MILLIS))
    arguments = [f"--readers={readers}", "--window=fixed:10m", "--domain_from=topic", *engine.options(streaming=True)]
    naming = ("--namespace_field=origin",)
    with kafka_job(kafka, [topic], store, s3_server, tmp_path, "r", *arguments, naming=naming) as job:
        # all windows end while it runs: idle partitions hold none of them
        job.wait_until(lambda: job.listed() == HISTORY)
        job.stop()
        run = job.run()
    found = read_back(store)
    check_once_each(found, HISTORY)
    assert {folder.partition("/")[0] for folder in found.records} == {topic}
    assert not [listed for listed in run.shards() if listed.shard.sealed_by == "lateness"]
    assert [
        (letter["domain"], letter["source"], letter["offset"], letter["line"]) for letter in found.dead_letters
    ] == [(topic, f"kafka://{topic}/1", HISTORY // 3 + at, None) for at in range(len(POISON))]
    assert run.record.state == "finished"
    assert run.record.input is not None
    ends = (33_334, 33_333 + len(POISON) + 1, 33_333, 0)
    assert run.record.input.positions["kafka"] == {
        f"{topic}:{partition}": {"first": "0", "next": str(end)} for partition, end in enumerate(ends)
    }


def test_a_stop_on_a_busy_topic_and_a_second_run(
    prism: Engine, kafka: KafkaBroker, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, topic = fresh_store(s3_server), f"busy-{new_token(6)}"
    kafka.create_topic(topic, 3)
    arguments = ["--window=fixed:5", "--timestamp_field=time", "--watermark_delay=2", *prism.options(streaming=True)]
    with Feeder(kafka.address, topic, 3, rate=400) as feeder:
        with kafka_job(kafka, [topic], store, s3_server, tmp_path, "first", *arguments) as job:
            job.wait_until(lambda: job.listed() > 0)
            kafka.add_partitions(topic, 5)
            time.sleep(2)
            feeder.partitions = 5
            kafka.kill()
            time.sleep(3)
            kafka.start()
            before = job.listed()
            job.wait_until(lambda: job.listed() > before + 2_000)
            job.stop("--json")
            first = job.run().record
        feeder.end()
    assert first.input is not None
    assert f"{topic}:4" in first.input.positions["kafka"], "the partitions that were added were not found"
    start = "--kafka_start=run:first"
    with kafka_job(kafka, [topic], store, s3_server, tmp_path, "second", start, *arguments) as job:
        listed = read_back(store)
        job.wait_until(lambda: len(read_back(store).all_records()) >= feeder.count)
        job.process.send_signal(signal.SIGTERM)
        assert job.process.wait(60) == 143, job.said()
        second = job.run().record
    assert listed.all_records(), "the first run listed nothing"
    check_once_each(read_back(store), feeder.count)
    assert second.state == "finished", "SIGTERM to the launcher did not stop it in order"
    assert second.input is not None
    ends = second.input.positions["kafka"].values()
    assert sum(int(end["next"]) for end in ends) == feeder.count


def test_a_task_manager_is_killed(
    flink_cluster: FlinkCluster, kafka: KafkaBroker, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    rest, store, topic = flink_cluster.rest, fresh_store(s3_server), f"killed-{new_token(6)}"
    kafka.create_topic(topic, 3)
    options = flink_cluster.options(streaming=True, checkpoint_seconds=5)
    arguments = ["--window=fixed:5", f"--job_name={topic}", *options]
    with (
        cancelled(rest, topic),
        Feeder(kafka.address, topic, 3, rate=300) as feeder,
        kafka_job(kafka, [topic], store, s3_server, tmp_path, "r", *arguments) as job,
    ):
        job.wait_until(lambda: job.listed() > 0, seconds=300)
        job_id = rest.job_named(topic).id
        job.wait_until(lambda: rest.completed_checkpoints(job_id) > 0)
        time.sleep(2.5)
        kill_the_busy_one(flink_cluster)
        restored_within(flink_cluster, job_id, seconds=90)
        before = feeder.count
        job.wait_until(lambda: job.listed() > before, seconds=300)
        feeder.end()
        job.stop()
        run = job.run()
    found = read_back(store)
    check_once_each(found, feeder.count)
    assert run.record.state == "finished"
    assert run.record.input is not None
    assert sum(int(end["next"]) for end in run.record.input.positions["kafka"].values()) == feeder.count
