"""KafkaReader: a consumer without a group's work, that reads just the partitions and offsets which the runner keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.sources.kafka import client
from beam_s3box.sources.kafka.settings import KafkaSettings
from beam_s3box.sources.source import Fetched, Look, Positions

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

_LOOK_SECONDS: Final = 2.0
_MOST_MESSAGES: Final = 10_000
_GUESSED_BYTES: Final = 1_024
"""Of a message, before any has come."""

_UNKNOWN_SECONDS: Final = 60.0
"""As long as a broker that has just started may not know a topic that exists."""


class KafkaReader:
    """Reads partitions.

    *Guarantees*: a partition is at its end if the broker has said so, no record has come and no error has been seen
    since. Markers of transactions, aborted records and gaps of compacted topics are passed.

    Args:
      settings: how topics are reached and read.
      positions: the offset to go on with in each partition.
      has_rows: whether to keep messages for rows.

    Raises:
      ConfigurationError: the client is not installed, or refuses a property.
    """

    def __init__(self, settings: KafkaSettings, positions: Positions, *, has_rows: bool = False) -> None:
        self._kafka = client.client_module()
        self._settings = settings
        self._has_rows = has_rows
        self._positions = {_split(part): int(offset) for part, offset in positions.items()}
        self._ends: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._doubtful = False
        self._failure: S3BoxError | None = None
        self._unknown_since: float | None = None
        self._bytes = float(_GUESSED_BYTES)
        self._consumer = client.new_consumer(settings, self._note_error)
        self._assign()

    def look(self, is_mine: Callable[[str], bool]) -> Look | None:
        """Find new partitions and take those of this reader; None if no broker answers."""
        try:
            partitions = client.partitions_of(self._consumer, self._settings.topics, _LOOK_SECONDS)
        except self._kafka.KafkaException:
            return None
        except ConfigurationError as exc:
            self._wait_for_topic(exc)
            return None
        self._unknown_since = None
        if self._doubtful:
            # the client says only once that a partition is at its end: it is asked for again from where we are
            self._doubtful = False
            self._assign()
        mine = {t: [n for n in numbers if is_mine(f"{t}:{n}")] for t, numbers in partitions.items()}
        try:
            new = client.offsets_at(self._consumer, mine, client.EARLIEST)
        except self._kafka.KafkaException:
            return None
        if new:
            self._positions |= new
            self._consumer.incremental_assign([self._kafka.TopicPartition(*place, new[place]) for place in new])
        return Look({f"{topic}:{number}": str(offset) for (topic, number), offset in new.items()})

    def poll(self, seconds: float) -> list[Fetched]:
        """Return the records that have come, by partition."""
        most = int(max(1, min(_MOST_MESSAGES, int(self._settings.fetch_bytes) // 4 / self._bytes)))
        messages = self._consumer.consume(most, seconds)
        if self._failure is not None:
            raise self._failure
        by_place: dict[tuple[str, int], list[Message]] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._take_error(message, error)
                continue
            place = message.topic() or "", message.partition() or 0
            found = by_place.get(place)
            if found is None:
                by_place[place] = [message]
            else:
                found.append(message)
        return [self._fetched(place, found) for place, found in by_place.items()]

    def at_end(self, part: str) -> bool:
        """Return whether nothing follows in a partition, as far as its broker has said."""
        place = _split(part)
        return self._ends.get(place, -1) >= self._positions[place]

    def committed(self, positions: Positions) -> None:
        """Set the offsets of the group, for monitors of lag; what becomes of that is nothing to the reader."""
        offsets = {_split(part): int(offset) for part, offset in positions.items()}
        if self._settings.group is None or offsets == self._committed:
            return
        self._committed = offsets
        places = [self._kafka.TopicPartition(*place, offset) for place, offset in offsets.items()]
        if places:
            self._consumer.commit(offsets=places, asynchronous=True)

    def close(self) -> None:
        """Close connections and drop what was fetched."""
        self._consumer.close()

    def _fetched(self, place: tuple[str, int], messages: list[Message]) -> Fetched:
        """Return the records of a partition by column; without a value are tombstones, which are passed."""
        position = (messages[-1].offset() or 0) + 1
        self._positions[place] = position
        rows = messages if self._has_rows else ()
        passed = 0
        values: list[Any] = [message.value() for message in messages]
        if None in values:
            messages = [message for message, value in zip(messages, values, strict=True) if value is not None]
            passed = len(values) - len(messages)
            values = [message.value() for message in messages]
        if values:
            self._bytes = max(1.0, sum(map(len, values)) / len(values))
        return Fetched(
            f"{place[0]}:{place[1]}",
            str(position),
            [message.timestamp()[1] for message in messages],
            values,
            [message.offset() or 0 for message in messages],
            passed,
            rows,
        )

    def _assign(self) -> None:
        self._ends.clear()
        places = [self._kafka.TopicPartition(*place, offset) for place, offset in self._positions.items()]
        self._consumer.assign(places)

    def _take_error(self, message: Message, error: KafkaError) -> None:
        kind = self._kafka.KafkaError
        place = message.topic() or "", message.partition() or 0
        part = f"{place[0]}:{place[1]}"
        if error.code() == kind._PARTITION_EOF:
            # behind markers of transactions, it is behind what comes next by our count
            self._ends[place] = message.offset() or 0
        elif client.is_passing(error):
            self._doubt()
        elif error.code() == kind.UNKNOWN_TOPIC_OR_PART:
            self._wait_for_topic(ConfigurationError(f"topics: there is no {part} any more"))
        elif error.code() in (kind._AUTO_OFFSET_RESET, kind.OFFSET_OUT_OF_RANGE):
            raise self._out_of_range(*place, error)
        else:
            raise client.error_of(error, part)

    def _note_error(self, error: KafkaError) -> None:
        """Take an error of a connection; the client calls this within a poll."""
        if client.is_refused(error):
            self._failure = client.error_of(error, ", ".join(self._settings.topics))
        self._doubt()

    def _doubt(self) -> None:
        """Hold the watermark: what is new where an error was, nobody knows until a broker has answered again."""
        self._ends.clear()
        self._doubtful = True

    def _wait_for_topic(self, error: ConfigurationError) -> None:
        """Give a topic that a broker does not know some time.

        Raises:
          ConfigurationError: it had that.
        """
        self._doubt()
        now = time.monotonic()
        if self._unknown_since is None:
            self._unknown_since = now
        if now - self._unknown_since > _UNKNOWN_SECONDS:
            raise error

    def _out_of_range(self, topic: str, number: int, error: KafkaError) -> ConfigurationError:
        at = self._positions.get((topic, number))
        try:
            low, high = self._consumer.get_watermark_offsets(
                self._kafka.TopicPartition(topic, number), timeout=client.ASK_SECONDS
            )
            has = f"the topic has {low} to {high - 1} now" if high > low else f"the topic is empty, up to {high}"
        except self._kafka.KafkaException:
            has = error.str()
        return ConfigurationError(
            f"{topic}:{number}: offset {at} can't be read: {has}. Its retention removed records before they were read, "
            "or the topic was made again. Begin again with start='earliest' (--kafka_start earliest), which reads what "
            "there is and leaves the gap, or at a time; and give the topic more retention, or the job more readers"
        )


def _split(part: str) -> tuple[str, int]:
    topic, _, number = part.rpartition(":")
    return topic, int(number)
