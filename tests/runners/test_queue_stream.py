"""Objects that S3's events name, by the streaming job on real engines and a real queue: each record once."""

from __future__ import annotations

import collections
import json
import pathlib
import time
from typing import Any

from beam_s3box.shards.runs import new_token
from tests.readback import read_back
from tests.runners.aws_job import Fed, killed_in_the_midst, source_job
from tests.runners.engines import Engine, cancelled
from tests.runners.kafka_job import check_once_each
from tests.runners.test_streams import fresh_store
from tools.flink.cluster import FlinkCluster
from tools.moto import Moto
from tools.seaweedfs import REGION, Server

LINES = 200
VISIBILITY = 30


class Landing:
    """A folder of a bucket whose events go to a queue.

    S3 of the tests sends none, and the one that sends some is not the one that is written to: so they are written here
    as AWS writes them.
    """

    def __init__(self, aws: Moto, server: Server) -> None:
        self._sqs, self._s3, self._bucket = aws.client("sqs"), server.client(), server.bucket
        self.folder = f"landing-{new_token(8)}"
        attributes = {"VisibilityTimeout": str(VISIBILITY)}
        self.queue: str = self._sqs.create_queue(QueueName=self.folder, Attributes=attributes)["QueueUrl"]
        self.options = [f"--sqs_queue={self.queue}", f"--sqs_region={REGION}", f"--sqs_endpoint_url={aws.endpoint_url}"]

    def land(self, number: int) -> None:
        """Put a file of records, tell of it, and tell of every fifth one again."""
        ids = range(number * LINES, (number + 1) * LINES)
        rows = [json.dumps({"id": i, "carrier": f"C{i % 5}", "origin": f"O{i % 3}"}) for i in ids]
        name = f"{self.folder}/{number:05d} of+é.jsonl"
        event = self.event(name, self._s3.put_object(Bucket=self._bucket, Key=name, Body="\n".join(rows).encode()))
        for _ in range(1 if number % 5 else 3):
            self.send(event)

    def event(self, key: str, put: dict[str, Any]) -> str:
        sequencer = f"{time.time_ns():X}"
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        thing = {
            "key": key.replace("+", "%2B").replace(" ", "+"),
            "eTag": put["ETag"].strip('"'),
            "sequencer": sequencer,
        }
        s3 = {"bucket": {"name": self._bucket}, "object": thing}
        return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "eventTime": moment, "s3": s3}]})

    def send(self, body: str) -> None:
        self._sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def tell_of_one_that_is_gone(self) -> None:
        key = f"{self.folder}/gone.jsonl"
        event = self.event(key, self._s3.put_object(Bucket=self._bucket, Key=key, Body=b"{}"))
        self._s3.delete_object(Bucket=self._bucket, Key=key)
        self.send(event)

    def left(self) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


def test_files_that_a_queue_names(prism: Engine, aws: Moto, s3_server: Server, tmp_path: pathlib.Path) -> None:
    store, landing, files = fresh_store(s3_server), Landing(aws, s3_server), 30
    arguments = [*landing.options, "--poll_interval=1", "--window=fixed:5", *prism.options(streaming=True)]
    for body in ("no event", json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})):
        landing.send(body)
    landing.tell_of_one_that_is_gone()
    feeder = Fed(landing.land, files, 0.3)
    with source_job(store, s3_server, tmp_path, "r", *arguments) as job:
        job.wait_until(lambda: job.listed() == files * LINES)
        job.wait_until(lambda: landing.left() == (0, 0))
        job.stop()
        record = job.run().record
    feeder.end()
    found = read_back(store)
    check_once_each(found, files * LINES)
    reasons = collections.Counter(letter["reason"] for letter in found.dead_letters)
    assert reasons == {"not-an-event": 1, "object-gone": 1}
    assert record.state == "finished"


def test_a_task_manager_is_killed(
    flink_cluster: FlinkCluster, aws: Moto, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, landing = fresh_store(s3_server), Landing(aws, s3_server)
    options = flink_cluster.options(streaming=True, checkpoint_seconds=5)
    arguments = [*landing.options, "--poll_interval=2", "--window=fixed:5", f"--job_name={landing.folder}", *options]
    with cancelled(flink_cluster.rest, landing.folder), source_job(store, s3_server, tmp_path, "r", *arguments) as job:
        feeder = Fed(landing.land, 75, 0.5)
        killed_in_the_midst(flink_cluster, job, landing.folder)
        feeder.join()
        job.wait_until(lambda: job.listed() == 75 * LINES, seconds=240)
        job.wait_until(lambda: landing.left() == (0, 0))
        job.stop()
        assert job.run().record.state == "finished"
    check_once_each(read_back(store), 75 * LINES)
