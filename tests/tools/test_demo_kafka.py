"""The parts of the demo of Kafka; all of it runs with `make demo-kafka`."""

from __future__ import annotations

import json
from pathlib import Path

from beam_s3box.cli.commands.stop import STOP_PARSER
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.sources import KAFKA, kind_of
from beam_s3box.jobs.stream import PARSER
from tools import demo_kafka


def test_the_commands_are_ones_that_s3box_takes() -> None:
    command = demo_kafka.stream_command("k:9092", "http://127.0.0.1:1", Path("/bin/prism"))
    given = given_of(PARSER.parse(command[2:]))
    assert command[:2] == ["s3box", "stream"]
    assert kind_of(given) == KAFKA
    assert (given.runner, given.destination) == ("PrismRunner", demo_kafka.DESTINATION)
    stop = demo_kafka.stop_command("http://127.0.0.1:1")
    assert stop[:2] == ["s3box", "stop"]
    assert STOP_PARSER.parse(stop[2:]).run_url == f"{given.destination}/runs/{given.run_id}.json"


def test_flights_are_json() -> None:
    lines = list(demo_kafka.lines_of_flights(100))
    assert len(lines) == 100
    assert all("carrier" in json.loads(line) for line in lines)


def test_a_line_says_what_is_in_the_topic_and_in_the_bucket() -> None:
    objects = {"kafka/data/a/b/1.json.gz": 1_000, "kafka/data/a/b/2.json.gz": 500, "kafka/manifests/r/0.manifest": 9}
    assert demo_kafka.progress_of(objects, 7_000, 12.4) == (
        "  12 s   7,000 records in the topic     2 shards of     1,500 bytes    1 manifests"
    )
