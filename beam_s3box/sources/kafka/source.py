"""Kafka as a source: a part is a partition, `orders:0`, and its position the offset that is read next."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from beam_s3box.errors import ConfigurationError
from beam_s3box.sources.kafka import client
from beam_s3box.sources.kafka.reader import KafkaReader
from beam_s3box.sources.kafka.settings import KafkaSettings
from beam_s3box.sources.kafka.start import Start, millis_of
from beam_s3box.sources.source import Fetched, Positions


class KafkaRow(NamedTuple):
    """A record of Kafka as a row.

    Attributes:
      key: None for none.
      value: None for a tombstone.
      headers: names and values, in their order; a name may come again.
      topic, partition, offset: where it is.
      timestamp: when it was made, or appended, as the topic is configured; milliseconds since 1970.
    """

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    topic: str
    partition: int
    offset: int
    timestamp: int


class KafkaSource:
    """Partitions of some topics.

    Args:
      settings: how they are reached and read.
      start: where to begin.
      has_rows: whether records are to be rows, which keeps more of them in memory.
      names_domain: whether the topic is the domain of its records.

    Raises:
      ConfigurationError: no such place to begin.
    """

    def __init__(
        self, settings: KafkaSettings, start: Start = "earliest", *, has_rows: bool = False, names_domain: bool = False
    ) -> None:
        self.settings = settings
        self._start = start if isinstance(start, Mapping) else millis_of(start)
        self._has_rows = has_rows
        self._names_domain = names_domain

    def first(self) -> Positions:
        """Return all partitions and the offsets to begin with.

        Raises:
          ConfigurationError: no broker answers, or a topic does not exist.
        """
        kafka = client.client_module()
        consumer = client.new_consumer(self.settings)
        try:
            partitions = client.partitions_of(consumer, self.settings.topics)
            if isinstance(self._start, int):
                offsets = client.offsets_at(consumer, partitions, self._start)
                return {part_of(topic, number): str(offset) for (topic, number), offset in offsets.items()}
            first = client.offsets_at(consumer, partitions, client.EARLIEST)
        except kafka.KafkaException as exc:
            raise client.unreachable(self.settings, exc) from None
        finally:
            consumer.close()
        # partitions that are younger than these offsets are read from their begin
        there = {part_of(topic, number): str(offset) for (topic, number), offset in first.items()}
        return there | {part: str(offset) for part, offset in self._start.items() if part in there}

    def number_of(self, part: str) -> int:
        """Return a number that spreads partitions evenly over readers."""
        topic, number = split_part(part)
        return zlib.crc32(topic.encode()) + number

    def name_of(self, part: str) -> str:
        """Return the partition as a URL: `kafka://orders/0`."""
        topic, number = split_part(part)
        return f"kafka://{topic}/{number}"

    def domain_of(self, part: str) -> str | None:
        """Return the topic, where it is the domain of its records."""
        return split_part(part)[0] if self._names_domain else None

    def rows(self, fetched: Fetched) -> Iterator[tuple[int, KafkaRow]]:
        """Yield each record as a row."""
        topic, number = split_part(fetched.part)
        for message in fetched.messages:
            millis = message.timestamp()[1]
            headers = [(name, value or b"") for name, value in message.headers() or ()]
            yield (
                millis * 1_000,
                KafkaRow(message.key(), message.value(), headers, topic, number, message.offset(), millis),
            )

    def open(self, positions: Positions) -> KafkaReader:
        """Return a reader of partitions."""
        return KafkaReader(self.settings, positions, has_rows=self._has_rows)


def part_of(topic: str, partition: int) -> str:
    """Return the name of a partition."""
    return f"{topic}:{partition}"


def split_part(part: str) -> tuple[str, int]:
    """Return the topic and the number of a partition.

    Raises:
      ConfigurationError: this is not the name of one.
    """
    topic, colon, number = part.rpartition(":")
    if not colon or not number.isdecimal():
        raise ConfigurationError(f"start: {part!r} names no partition: write topic:number, as orders:0")
    return topic, int(number)
