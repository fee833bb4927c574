"""Options that say which source a streaming job reads, besides files."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import Section
from beam_s3box.cli.options.values import seconds

SOURCE_DELAY: Final = 2.0
"""Seconds that windows wait for records whose time their source knows."""

DEFAULT_IDLE_TIMEOUT: Final = 10.0
KAFKA_AUTHS: Final = ("msk-iam",)


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of all sources of records."""
    parser.add_argument(
        "--readers",
        metavar="N",
        type=int,
        default=1,
        help="that read at the same time, each some of the partitions or shards (default: 1)",
    )
    parser.add_argument(
        "--idle_timeout",
        metavar="SECONDS",
        type=seconds(),
        default=DEFAULT_IDLE_TIMEOUT,
        help="after which a partition or shard without new records no longer holds back the windows of the others "
        f"(default: {DEFAULT_IDLE_TIMEOUT:g})",
    )
    parser.add_argument(
        "--fetch_bytes",
        metavar="SIZE",
        default="32MiB",
        help="memory of what a reader has fetched and not yet handed on (default: 32MiB)",
    )


def add_kafka_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of Kafka."""
    parser.add_argument("--kafka_brokers", metavar="HOST:PORT,...", help="some of the brokers")
    parser.add_argument("--kafka_topic", metavar="TOPIC", action="append", help="to read; may be given several times")
    parser.add_argument(
        "--kafka_start",
        metavar="WHERE",
        default="earliest",
        help="earliest, latest, a time such as 2026-11-22T10:15:00Z, or run:ID to go on where that run ended (default: "
        "earliest)",
    )
    parser.add_argument(
        "--kafka_config",
        metavar="FILE",
        help="properties of librdkafka, name=value a line, as security.protocol=SASL_SSL; a secret must be ${NAME}, a "
        "variable of the environment where the topic is read",
    )
    parser.add_argument(
        "--kafka_auth", choices=KAFKA_AUTHS, help="msk-iam: log in to Amazon MSK with the AWS identity of the workers"
    )
    parser.add_argument(
        "--kafka_group",
        metavar="NAME",
        help="consumer group whose offsets are set to what was read, for monitors of lag; where to go on never depends "
        "on it",
    )
    parser.add_argument(
        "--domain_from", choices=("topic",), help="topic: the domain of a record is its topic, instead of --domain"
    )


def add_kinesis_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of Kinesis."""
    parser.add_argument("--kinesis_stream", metavar="STREAM", help="to read: its name or its ARN")
    parser.add_argument(
        "--kinesis_start",
        metavar="WHERE",
        default="earliest",
        help="earliest, latest, a time such as 2026-11-22T10:15:00Z, or run:ID to go on where that run ended (default: "
        "earliest)",
    )
    parser.add_argument("--kinesis_region", metavar="REGION", help="of the stream (default: boto3's)")
    parser.add_argument("--kinesis_endpoint_url", metavar="URL", help="of Kinesis, where it is not AWS's own")


SOURCES: Final = Section("Sources of records", add_source_arguments)
KAFKA: Final = Section("Kafka and Amazon MSK", add_kafka_arguments)
KINESIS: Final = Section("Kinesis Data Streams", add_kinesis_arguments)
