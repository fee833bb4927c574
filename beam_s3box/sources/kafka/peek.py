"""A look at the first record of each topic, so that a job which can't read them fails before it begins."""

from __future__ import annotations

import time
from typing import Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.sources.kafka.reader import KafkaReader
from beam_s3box.sources.kafka.settings import KafkaSettings
from beam_s3box.sources.source import Positions

_SECONDS: Final = 3.0
_MAGIC: Final = b"\0"
_HEAD_BYTES: Final = 5
"""Byte 0 and the number of a schema in four bytes; what follows is Avro, Protobuf or JSON."""


def check_values(settings: KafkaSettings, positions: Positions) -> None:
    """Read a record or a few of each topic, if any is there.

    Raises:
      ConfigurationError: it needs a schema registry to be read.
    """
    reader = KafkaReader(settings, positions)
    waiting, until = set(settings.topics), time.monotonic() + _SECONDS
    try:
        while waiting and time.monotonic() < until:
            for one in reader.poll(0.1):
                topic = one.part.rpartition(":")[0]
                if topic in waiting and one.values:
                    waiting.discard(topic)
                    _check(topic, one.values[0])
            if all(map(reader.at_end, positions)):
                return
    finally:
        reader.close()


def _check(topic: str, value: bytes) -> None:
    if value.startswith(_MAGIC) and len(value) > _HEAD_BYTES:
        number = int.from_bytes(value[1:_HEAD_BYTES], "big")
        raise ConfigurationError(
            f"topics: the first record of {topic!r} begins with byte 0 and the number {number}: that is Avro, Protobuf "
            "or JSON Schema in Confluent's wire format, which needs a schema registry, and this job reads JSON. "
            "Let the producers write JSON, or decode the values in a pipeline of your own: "
            "beam_s3box.sources.ReadKafka yields them as bytes"
        )
