"""Topics of Kafka as the input of the streaming job."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.earlier_run import positions_of_run
from beam_s3box.sources.kafka.peek import check_values
from beam_s3box.sources.kafka.settings import KafkaSettings, read_properties
from beam_s3box.sources.kafka.source import KafkaSource, split_part
from beam_s3box.sources.source import Positions
from beam_s3box.stores import Store

NAME: Final = "kafka"
"""Of the source, in the record of a run."""

_RUN: Final = "run:"


def kafka_of(given: argparse.Namespace, store: Store) -> KafkaSource:
    """Return the topics that the options name; the record of an earlier run is read if it says where to begin.

    Raises:
      ConfigurationError: an option is missing or can't work, or the run did not end in order.
      StoreError: the record can't be read.
    """
    if not given.kafka_brokers:
        raise ConfigurationError("--kafka_brokers is missing: name some brokers, as --kafka_brokers=kafka-1:9092")
    settings = KafkaSettings(
        brokers=given.kafka_brokers,
        topics=given.kafka_topic,
        config=read_properties(given.kafka_config) if given.kafka_config else {},
        auth=given.kafka_auth,
        group=given.kafka_group,
        fetch_bytes=given.fetch_bytes,
    )
    start = given.kafka_start
    if start.startswith(_RUN):
        start = _after_run(settings, store, start.removeprefix(_RUN))
    return KafkaSource(settings, start, names_domain=given.domain_from == "topic")


def check_kafka(source: KafkaSource) -> Positions:
    """Return where the job begins to read, after what reading would meet was checked.

    Raises:
      ConfigurationError: no broker answers, there is no such topic, or its records are not JSON.
    """
    positions = source.first()
    check_values(source.settings, positions)
    return positions


def _after_run(settings: KafkaSettings, store: Store, run_id: str) -> Positions:
    positions = positions_of_run(store, run_id, NAME, "--kafka_start")
    topics = {split_part(part)[0] for part in positions}
    for topic in settings.topics:
        if topic not in topics:
            raise ConfigurationError(
                f"--kafka_start=run:{run_id}: that run read {', '.join(sorted(topics))}, and not {topic!r}: read the "
                "same topics, or begin earliest, latest or at a time"
            )
    return positions
