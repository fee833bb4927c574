"""Show a topic of Kafka on its way to S3 on this machine: broker, producer, streaming job on Prism, stop in order.

`make demo-kafka` runs it. It starts an S3 server and a broker, puts flights into a topic while `s3box stream` reads it,
prints every few seconds what is in the topic and in the bucket, stops the run by `s3box stop`, and compares what the
topic has with what the record of the run says and with all that the manifests list. Exit code 1 says that the counts
do not agree.
"""

from __future__ import annotations

import gzip
import itertools
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from beam_s3box.engine.run_reader import find_run
from beam_s3box.stores import S3Settings, open_store
from tools import demo, seaweedfs
from tools.kafka.broker import KafkaBroker, kafka_broker
from tools.kafka.produce import new_producer, put
from tools.prism import prism_binary

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

TOPIC = "flights"
PARTITIONS = 3
RECORDS = 30_000
FEED_SECONDS = 20.0
DESTINATION = f"s3://{demo.BUCKET}/kafka"
RUN_ID = "demo-kafka"

_SHOW_SECONDS = 3.0
_BATCH = 100


def stream_command(brokers: str, endpoint_url: str, prism: Path) -> list[str]:
    """Return the command that a user would type; the keys come by the environment, not by arguments."""
    return [
        "s3box",
        "stream",
        f"--kafka_brokers={brokers}",
        f"--kafka_topic={TOPIC}",
        f"--destination={DESTINATION}",
        f"--run_id={RUN_ID}",
        f"--domain_field={demo.DOMAIN_FIELD}",
        f"--namespace_field={demo.NAMESPACE_FIELD}",
        "--window=fixed:10",
        "--max_seconds=5",
        "--idle_timeout=2",
        f"--s3_endpoint_url={endpoint_url}",
        f"--s3_region_name={seaweedfs.REGION}",
        "--runner=PrismRunner",
        f"--prism_location={prism}",
        "--quiet",
    ]


def stop_command(endpoint_url: str) -> list[str]:
    """Return the command that stops the run."""
    return [
        "s3box",
        "stop",
        f"{DESTINATION}/runs/{RUN_ID}.json",
        "--wait=60",
        f"--s3_endpoint_url={endpoint_url}",
        f"--s3_region_name={seaweedfs.REGION}",
    ]


def lines_of_flights(count: int) -> Iterator[bytes]:
    """Yield so many flights, as lines without their breaks."""
    with gzip.open(demo.ROOT / demo.SOURCE, "rb") as source:
        for line in itertools.islice(source, count):
            yield line.rstrip(b"\n")


def feed(address: str, lines: list[bytes], seconds: float) -> None:
    """Put lines into the topic, spread over some seconds."""
    producer = new_producer(address, **{"enable.idempotence": True})
    begun = time.monotonic()
    for number, line in enumerate(lines):
        put(producer, TOPIC, number % PARTITIONS, line, int(time.time() * 1000))
        if not number % _BATCH:
            time.sleep(max(0.0, begun + seconds * number / len(lines) - time.monotonic()))
    producer.flush(60)


def offsets_of(address: str) -> dict[str, int]:
    """Return how many records each partition has."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "demo", "log_level": 0})
    try:
        return {
            f"{TOPIC}:{number}": consumer.get_watermark_offsets(TopicPartition(TOPIC, number), timeout=10)[1]
            for number in range(PARTITIONS)
        }
    finally:
        consumer.close()


def progress_of(objects: Mapping[str, int], in_topic: int, seconds: float) -> str:
    """Return a line on what is in the topic and in the bucket."""
    shards = [size for key, size in objects.items() if key.startswith("kafka/data/")]
    manifests = sum(key.endswith(".manifest") for key in objects)
    return (
        f"{seconds:4.0f} s  {in_topic:6,} records in the topic  {len(shards):4,} shards of {sum(shards):9,} bytes  "
        f"{manifests:3,} manifests"
    )


def main() -> int:
    """Run the demo and return its exit code."""
    with (
        tempfile.TemporaryDirectory(prefix="kafka-", ignore_cleanup_errors=True) as folder,
        seaweedfs.seaweedfs(demo.BUCKET) as server,
    ):
        (Path(folder) / "broker").mkdir()
        with kafka_broker(Path(folder) / "broker") as broker:
            _say(f"Kafka answers at {broker.address}, SeaweedFS at {server.endpoint_url}; both go when the demo ends.")
            broker.create_topic(TOPIC, PARTITIONS)
            return _show(server, broker, Path(folder))


def _show(server: seaweedfs.Server, broker: KafkaBroker, folder: Path) -> int:
    lines = list(lines_of_flights(RECORDS))
    job = _start(server, stream_command(broker.address, server.endpoint_url, prism_binary()))
    producing = threading.Thread(target=feed, args=(broker.address, lines, FEED_SECONDS), daemon=True)
    try:
        _wait_until_it_reads(server, job)
        producing.start()
        _watch(server, broker, job, producing)
        if job.poll() is None:
            _start(server, stop_command(server.endpoint_url)).wait()
        code = job.wait(60)
    finally:
        job.kill()
    if code:
        print(f"The job failed with exit code {code}.", file=sys.stderr)
        return 1
    source = folder / "flights.jsonl"
    source.write_bytes(b"\n".join(lines) + b"\n")
    return _compare(server, broker, source)


def _wait_until_it_reads(server: seaweedfs.Server, job: subprocess.Popen[bytes]) -> None:
    """Wait until the run has begun, so that the topic is read while it is written."""
    client: S3Client = server.client(server.reader)
    while job.poll() is None and f"kafka/runs/{RUN_ID}.json" not in demo.list_bucket(client):
        time.sleep(0.5)


def _watch(
    server: seaweedfs.Server, broker: KafkaBroker, job: subprocess.Popen[bytes], producing: threading.Thread
) -> None:
    """Show topic and bucket until all is produced and the last window has ended."""
    client: S3Client = server.client(server.reader)
    begun = time.monotonic()
    until = None
    while job.poll() is None and (until is None or time.monotonic() < until):
        time.sleep(_SHOW_SECONDS)
        in_topic = sum(offsets_of(broker.address).values())
        print(progress_of(demo.list_bucket(client), in_topic, time.monotonic() - begun), flush=True)
        if until is None and not producing.is_alive():
            until = time.monotonic() + _SHOW_SECONDS


def _compare(server: seaweedfs.Server, broker: KafkaBroker, source: Path) -> int:
    """Print topic, record and manifests, and return the exit code."""
    client: S3Client = server.client(server.reader)
    settings = S3Settings(endpoint_url=server.endpoint_url, region=seaweedfs.REGION)
    record = find_run(open_store(DESTINATION, settings, server.reader), RUN_ID).record
    in_topic = offsets_of(broker.address)
    noted = record.input.positions["kafka"] if record.input is not None else {}
    _say(f"The run is {record.state}. Records of each partition, and the offset that its record says comes next:")
    for part, count in in_topic.items():
        print(f"  {part}  {count:,} in the topic, {noted.get(part, {}).get('next')} read and listed")
    last = max(key for key in demo.list_bucket(client) if key.endswith(".manifest"))
    demo.show_manifest(client, last)
    if {part: str(count) for part, count in in_topic.items()} != {part: one["next"] for part, one in noted.items()}:
        print("The offsets of the record are not those of the topic.", file=sys.stderr)
        return 1
    return demo.look_back(server, DESTINATION, str(source))


def _start(server: seaweedfs.Server, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a command of a user's in a process of its own, and show it."""
    _say("$ " + " \\\n    ".join([shlex.join(command[:2]), *map(shlex.quote, command[2:])]))
    keys = {"AWS_ACCESS_KEY_ID": server.writer.access_key, "AWS_SECRET_ACCESS_KEY": server.writer.secret_key}
    # a token or profile of the caller's own would not fit these keys
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.Popen([sys.executable, "-m", "beam_s3box", *command[1:]], cwd=demo.ROOT, env=inherited | keys)


def _say(line: str) -> None:
    # the job writes to the terminal itself: nothing of ours may wait in a buffer meanwhile
    print(f"\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
