"""Puts records with ids into a topic, in this process: `Feeder` in a thread, at a rate."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer


def produce(address: str, topic: str, records: Iterable[tuple[int, bytes | None, int]], **more: Any) -> None:
    """Put records into a topic: partition, value, and time in milliseconds since 1970, each."""
    producer = new_producer(address)
    for partition, value, millis in records:
        put(producer, topic, partition, value, millis, **more)
    producer.flush(60)


def new_producer(address: str, **config: Any) -> Producer:
    """Return a producer."""
    return Producer({"bootstrap.servers": address, "linger.ms": 20, "log_level": 0, **config})


def put(producer: Producer, topic: str, partition: int, value: bytes | None, millis: int, **more: Any) -> None:
    """Put a record into a topic, after waiting while the producer's queue is full; `more` may have key and headers."""
    while True:
        try:
            producer.produce(topic, value, partition=partition, timestamp=millis, **more)
        except BufferError:
            producer.poll(0.1)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                raise
            producer.poll(0.1)  # it was just added
        else:
            producer.poll(0)
            return


def record(number: int, moment: float) -> bytes:
    """Return a record: its id says what it has."""
    values = {"id": number, "carrier": f"C{number % 5}", "origin": f"O{number % 3}", "time": moment, "pad": "x" * 100}
    return json.dumps(values).encode()


class Feeder:
    """Puts records with the ids from 0 on into a topic, at a rate, until the block ends.

    Args:
      address: of a broker.
      topic: where to.
      partitions: in turn.
      rate: records a second.
      clock: seconds since 1970.
    """

    def __init__(
        self, address: str, topic: str, partitions: int, rate: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.count = 0
        self.partitions = partitions
        self._topic = topic
        self._rate = rate
        self._clock = clock
        # none is lost or twice in the topic when a broker is killed
        self._producer = new_producer(
            address, **{"enable.idempotence": True, "topic.metadata.refresh.interval.ms": 500}
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Wait until all records are in the topic."""
        self._ended.set()
        self._thread.join()
        assert self._producer.flush(60) == 0, "records did not reach the broker"

    def _feed(self) -> None:
        begun = self._clock()
        while not self._ended.wait(0.02):
            while self.count < (self._clock() - begun) * self._rate:
                now = self._clock()
                put(self._producer, self._topic, self.count % self.partitions, record(self.count, now), int(now * 1000))
                self.count += 1
