"""A reader of Kafka against a real broker: what it finds, what it passes, when it is at an end, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable

import confluent_kafka
import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.runs import new_token
from beam_s3box.sources.kafka.peek import check_values
from beam_s3box.sources.kafka.reader import KafkaReader
from beam_s3box.sources.kafka.settings import KafkaSettings
from beam_s3box.sources.kafka.source import KafkaRow, KafkaSource
from beam_s3box.sources.kafka.start import Start
from beam_s3box.sources.source import Fetched
from tools.kafka.broker import KafkaBroker
from tools.kafka.produce import new_producer, produce

NOW = 1_790_000_000_000


@pytest.fixture
def topic(kafka: KafkaBroker) -> str:
    name = f"t-{new_token(8)}"
    kafka.create_topic(name, 2)
    return name


def settings(kafka: KafkaBroker, *topics: str, group: str | None = None, **config: str) -> KafkaSettings:
    return KafkaSettings(brokers=kafka.address, topics=topics, group=group, config=config)


def read_all(reader: KafkaReader, parts: list[str], seconds: float = 20) -> list[Fetched]:
    """Poll until all parts are at their ends."""
    found: list[Fetched] = []
    until = time.monotonic() + seconds
    while not all(map(reader.at_end, parts)):
        assert time.monotonic() < until, f"no end after {found}"
        found += reader.poll(0.2)
    return found


def values_of(found: list[Fetched]) -> list[bytes]:
    return [value for one in found for value in one.values]


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("start", "offsets"),
    [
        ("earliest", ("0", "0")),
        ("latest", ("10", "10")),
        ("2026-09-21T14:13:24Z", ("4", "4")),
        (str(NOW // 1000 + 4), ("4", "4")),
        ("2040-01-01T00:00:00+00:00", ("10", "10")),
        ({"{}:1": "7", "other:0": "3"}, ("0", "7")),
    ],
)
def test_where_it_begins(kafka: KafkaBroker, topic: str, start: Start, offsets: tuple[str, str]) -> None:
    produce(kafka.address, topic, ((n % 2, b"{}", NOW + n // 2 * 1_000) for n in range(20)))
    if isinstance(start, dict):
        start = {part.format(topic): offset for part, offset in start.items()}
    first = KafkaSource(settings(kafka, topic), start).first()
    assert first == {f"{topic}:0": offsets[0], f"{topic}:1": offsets[1]}


def test_records_tombstones_and_positions(kafka: KafkaBroker, topic: str) -> None:
    produce(kafka.address, topic, [(0, b"a", NOW), (0, None, NOW + 1), (0, b"b", NOW + 2), (1, None, NOW)], key=b"k")
    parts = [f"{topic}:0", f"{topic}:1"]
    reader = KafkaReader(settings(kafka, topic), dict.fromkeys(parts, "0"))
    try:
        found = read_all(reader, parts)
        by_part = {part: [one for one in found if one.part == part] for part in parts}
        assert values_of(by_part[parts[0]]) == [b"a", b"b"]
        assert [number for one in by_part[parts[0]] for number in one.numbers] == [0, 2]
        assert [millis for one in by_part[parts[0]] for millis in one.millis] == [NOW, NOW + 2]
        assert [by_part[part][-1].position for part in parts] == ["3", "1"]
        assert [sum(one.passed for one in by_part[part]) for part in parts] == [1, 1]
        produce(kafka.address, topic, [(0, b"c", NOW)])
        eventually(lambda: values_of(reader.poll(0.2)) == [b"c"])
        assert values_of(read_all(reader, parts)) == []
    finally:
        reader.close()


def test_rows_have_all_that_a_record_has(kafka: KafkaBroker, topic: str) -> None:
    headers = [("h", b"1"), ("h", b"2")]
    produce(kafka.address, topic, [(1, b"a", NOW), (1, None, NOW + 1)], key=b"k", headers=headers)
    source = KafkaSource(settings(kafka, topic), has_rows=True)
    reader = source.open({f"{topic}:1": "0"})
    try:
        rows = [row for one in read_all(reader, [f"{topic}:1"]) for row in source.rows(one)]
    finally:
        reader.close()
    assert rows == [
        (NOW * 1_000, KafkaRow(b"k", b"a", headers, topic, 1, 0, NOW)),
        (NOW * 1_000 + 1_000, KafkaRow(b"k", None, headers, topic, 1, 1, NOW + 1)),
    ]


def test_aborted_transactions_are_passed_and_open_ones_waited_for(kafka: KafkaBroker, topic: str) -> None:
    producer = new_producer(kafka.address, **{"transactional.id": topic})
    producer.init_transactions(30)
    for value, ends in ((b"no", producer.abort_transaction), (b"yes", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value, partition=0, timestamp=NOW)
        producer.flush(30)
        ends(30)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0, timestamp=NOW)
    producer.flush(30)
    part = f"{topic}:0"
    reader = KafkaReader(settings(kafka, topic), {part: "0"})
    try:
        assert values_of(read_all(reader, [part])) == [b"yes"]
        producer.commit_transaction(30)
        found: list[Fetched] = []

        def poll() -> bool:
            found.extend(reader.poll(0.2))
            return values_of(found) == [b"open"]

        eventually(poll)
        # behind the last marker: what comes later is read once, from the noted position
        read_all(reader, [part])
        again = KafkaReader(settings(kafka, topic), {part: found[-1].position})
        try:
            assert read_all(again, [part]) == []
        finally:
            again.close()
    finally:
        reader.close()


def test_gaps_of_a_compacted_topic_are_passed(kafka: KafkaBroker) -> None:
    topic = f"c-{new_token(8)}"
    part = f"{topic}:0"
    quick = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "100"}
    kafka.create_topic(topic, 1, {"cleanup.policy": "compact", **quick})
    for number in range(6):
        produce(kafka.address, topic, [(0, b"%d" % number, int(time.time() * 1_000))], key=b"k")
        time.sleep(0.3)

    def read() -> list[Fetched]:
        reader = KafkaReader(settings(kafka, topic), {part: "0"})
        try:
            return read_all(reader, [part])
        finally:
            reader.close()

    eventually(lambda: len(values_of(read())) < 6, seconds=60)
    found = read()
    assert values_of(found)[-1] == b"5"
    assert found[-1].position == "6"


def test_an_offset_that_is_gone_names_the_ways_out(kafka: KafkaBroker, topic: str) -> None:
    produce(kafka.address, topic, ((0, b"{}", NOW) for _ in range(10)))
    kafka.delete_records(topic, 0, 6)
    reader = KafkaReader(settings(kafka, topic), {f"{topic}:0": "2"})
    try:
        with pytest.raises(ConfigurationError) as caught:
            read_all(reader, [f"{topic}:0"])
    finally:
        reader.close()
    assert f"{topic}:0: offset 2 can't be read: the topic has 6 to 9 now" in str(caught.value)
    assert "--kafka_start earliest" in str(caught.value)


def test_partitions_that_are_added_are_found(kafka: KafkaBroker, topic: str) -> None:
    reader = KafkaReader(settings(kafka, topic), {f"{topic}:0": "0", f"{topic}:1": "0"})
    try:
        kafka.add_partitions(topic, 4)
        produce(kafka.address, topic, [(3, b"new", NOW)])
        known = {f"{topic}:{number}" for number in range(2)}
        found: dict[str, str] = {}

        def look() -> bool:
            seen = reader.look(lambda part: part not in known and part not in found and part != f"{topic}:2")
            found.update(seen.new if seen else {})
            return bool(found)

        eventually(look)
        assert found == {f"{topic}:3": "0"}, "the other one is another reader's"
        assert values_of(read_all(reader, [*known, f"{topic}:3"])) == [b"new"]
    finally:
        reader.close()


def test_a_group_is_told_for_monitors_of_lag(kafka: KafkaBroker, topic: str) -> None:
    group = f"g-{topic}"
    reader = KafkaReader(settings(kafka, topic, group=group), {f"{topic}:0": "0"})
    asking = confluent_kafka.Consumer({"bootstrap.servers": kafka.address, "group.id": group})

    def committed() -> int:
        reader.poll(0.1)
        return int(asking.committed([confluent_kafka.TopicPartition(topic, 0)], timeout=10)[0].offset)

    try:
        reader.committed({f"{topic}:0": "17"})
        eventually(lambda: committed() == 17)
    finally:
        asking.close()
        reader.close()


def test_a_topic_that_does_not_exist_is_an_error_that_knows_better(kafka: KafkaBroker, topic: str) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no topic '{topic}s' .*did you mean '{topic}'"):
        KafkaSource(settings(kafka, f"{topic}s")).first()


def test_no_broker_is_an_error_that_says_what_to_check() -> None:
    nowhere = KafkaSettings(brokers="127.0.0.1:1", topics="t")
    with pytest.raises(ConfigurationError, match=r"brokers='127.0.0.1:1': no answer .*check host and port"):
        KafkaSource(nowhere).first()


def test_a_property_that_does_not_exist_is_an_error(kafka: KafkaBroker, topic: str) -> None:
    with pytest.raises(ConfigurationError, match=r'config: .*No such configuration property: "no.such"'):
        KafkaSource(settings(kafka, topic, **{"no.such": "1"})).first()


def test_schema_registry_values_are_refused_before_the_run(kafka: KafkaBroker, topic: str) -> None:
    source = KafkaSource(settings(kafka, topic))
    check_values(source.settings, source.first())  # an empty topic tells nothing
    produce(kafka.address, topic, [(0, b"\0\0\0\0\x11avro", NOW)])
    with pytest.raises(ConfigurationError, match="byte 0 and the number 17: that is Avro, Protobuf"):
        check_values(source.settings, source.first())


def test_a_lost_broker_is_no_end(kafka: KafkaBroker, topic: str) -> None:
    produce(kafka.address, topic, [(0, b"a", NOW)])
    part = f"{topic}:0"
    reader = KafkaReader(settings(kafka, topic), {part: "0"})
    try:
        assert values_of(read_all(reader, [part])) == [b"a"]
        kafka.kill()
        eventually(lambda: reader.poll(0.2) == [] and not reader.at_end(part))
        assert reader.look(lambda part: False) is None
        kafka.start()
        # nothing new has come: that it is at its end has to be asked for again
        eventually(lambda: reader.look(lambda part: False) is not None)
        assert values_of(read_all(reader, [part])) == []
        produce(kafka.address, topic, [(0, b"b", NOW)])
        eventually(lambda: values_of(reader.poll(0.2)) == [b"b"])
    finally:
        reader.close()
