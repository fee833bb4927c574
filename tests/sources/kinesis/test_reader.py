"""Shards are read to their ends and followed by those that they became: on a real server; its faults are made here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError, SourceError, TransientSourceError
from beam_s3box.sources.kinesis.positions import END, Position, parse
from beam_s3box.sources.kinesis.reader import ShardReader
from beam_s3box.sources.kinesis.source import KinesisSource
from beam_s3box.sources.kinesis.stream import Shard, Stream, StreamSettings
from beam_s3box.sources.source import Fetched
from tests.sources.kinesis.aggregated import packed
from tools.kinesis import Kinesis

HOUR = 3_600_000


def records(count: int, start: int = 0) -> list[bytes]:
    return [b'{"i":%d}' % i for i in range(start, start + count)]


class Following:
    """A reader as the core drives it: it looks for shards, polls, and keeps positions."""

    def __init__(self, source: KinesisSource, positions: dict[str, str] | None = None) -> None:
        self.positions = dict(source.first()) if positions is None else dict(positions)
        self.reader = source.open(self.positions)
        self.values: list[bytes] = []
        self.order: list[str] = []

    def step(self) -> list[Fetched]:
        look = self.reader.look(lambda part: part not in self.positions)
        assert look is not None
        self.positions |= look.new
        fetched = self.reader.poll(0.1)
        for one in fetched:
            self.positions[one.part] = one.position
            self.values += one.values
            self.order += [one.part] * len(one.values)
        return fetched

    def until(self, count: int, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while len(self.values) < count:
            assert time.monotonic() < deadline, f"{len(self.values)} of {count} records came"
            self.step()


def test_each_record_comes_once_and_another_reader_goes_on_behind_it(server: Kinesis, stream: StreamSettings) -> None:
    server.put(stream.stream, records(300))
    source = KinesisSource(stream)
    first = Following(source)
    first.until(300)
    assert sorted(first.values) == sorted(records(300))
    server.put(stream.stream, records(50, 300))
    second = Following(source, first.positions)
    second.until(50)
    assert sorted(second.values) == sorted(records(50, 300))
    assert all(map(second.reader.at_end, second.positions))


def test_shards_are_split_and_merged_while_they_are_read(server: Kinesis, stream: StreamSettings) -> None:
    """A child is read behind its parents, whatever is fetched first."""
    one = Following(KinesisSource(stream))
    server.put(stream.stream, records(100))
    one.step()
    server.split(stream.stream)
    server.put(stream.stream, records(100, 100))
    server.merge(stream.stream)
    server.put(stream.stream, records(100, 200))
    one.until(300)
    assert sorted(one.values) == sorted(records(300))
    shards, _ = Stream(stream).shards()
    last = {shard: max(at for at, part in enumerate(one.order) if part == shard) for shard in one.order}
    for shard in shards:
        for parent in set(shard.parents) & set(last):
            assert last[parent] < one.order.index(shard.id), "a child came before its parent's last record"
    assert sum(position == END for position in one.positions.values()) == 3


def test_a_parent_is_at_its_end_when_its_children_are_known(server: Kinesis, stream: StreamSettings) -> None:
    """Else the watermark would run ahead of what the children hold."""
    one = Following(KinesisSource(stream))
    parent = server.open_shards(stream.stream)[0]["ShardId"]
    server.split(stream.stream)
    while one.positions[parent] != END:
        for fetched in one.reader.poll(0.1):
            one.positions[fetched.part] = fetched.position
    assert not one.reader.at_end(parent)
    assert len(one.step()) >= 0
    assert one.reader.at_end(parent)
    # and also for whoever goes on there
    again = Following(KinesisSource(stream), {parent: END})
    assert not again.reader.at_end(parent)


def test_history_is_read_in_its_order_from_the_earliest_record(server: Kinesis, stream: StreamSettings) -> None:
    server.put(stream.stream, records(40))
    server.split(stream.stream)
    server.put(stream.stream, records(40, 40))
    source = KinesisSource(stream)
    assert len(source.first()) == 2, "what was split off is found when its parent is read"
    one = Following(source)
    one.until(80)
    assert sorted(one.values) == sorted(records(80))


def test_latest_is_what_comes_from_now_on_in_all_shards(server: Kinesis, stream: StreamSettings) -> None:
    server.put(stream.stream, records(30))
    server.split(stream.stream)
    server.put(stream.stream, records(30, 30))
    time.sleep(1.1)  # the clock of an answer has whole seconds
    one = Following(KinesisSource(stream, "latest"))
    assert len(one.positions) == 4
    server.put(stream.stream, records(20, 60))
    one.until(20)
    for _ in range(3):
        one.step()
    assert sorted(one.values) == sorted(records(20, 60))


def test_a_time_is_where_reading_begins(server: Kinesis, stream: StreamSettings) -> None:
    server.put(stream.stream, records(10))
    time.sleep(1.1)
    between = time.time()
    time.sleep(0.1)
    server.put(stream.stream, records(10, 10))
    one = Following(KinesisSource(stream, f"{between:.3f}"))
    one.until(10)
    assert sorted(one.values) == sorted(records(10, 10))


def test_what_the_producer_library_packed_is_several_records(server: Kinesis, stream: StreamSettings) -> None:
    data = packed(("a", b'{"i":1}'), ("b", b'{"i":2}\n'))
    server.put(stream.stream, [data, b'{"i":3}'])
    one = KinesisSource(stream, has_rows=True)
    reader = one.open(one.first())
    # the two records may be in shards of their own, in one, and there in one answer or in two
    fetched = [some for _ in range(3) for some in reader.poll(0.1)]
    assert sorted(value for some in fetched for value in some.values) == [b'{"i":1}', b'{"i":2}', b'{"i":3}']
    [both] = [some for some in fetched if b'{"i":1}' in some.values]
    assert [number.rpartition("/")[2] for number in map(str, both.numbers)][:2] == ["0", "1"]
    rows = [row for some in fetched for _, row in one.rows(some)]
    assert sorted((row.partition_key, row.sub_sequence_number) for row in rows if row.data != b'{"i":3}') == [
        ("a", 0),
        ("b", 1),
    ]
    assert {row.stream for row in rows} == {stream.stream}


def test_a_stream_that_is_not_there_is_refused(server: Kinesis, stream: StreamSettings) -> None:
    gone = StreamSettings(stream="none", aws=stream.aws)
    with pytest.raises(ConfigurationError, match=r"stream='none' can't be read: list_shards .*create the stream, or"):
        KinesisSource(gone).first()


def test_a_stream_that_was_made_again_has_other_records(server: Kinesis, stream: StreamSettings) -> None:
    server.put(stream.stream, records(5))
    one = Following(KinesisSource(stream))
    one.until(5)
    other = StreamSettings(stream=f"{stream.stream}-other", aws=stream.aws)
    server.create(other.stream, 2)
    lost = KinesisSource(other).open({"shardId-000000000009": "1~0"})
    with pytest.raises(
        ConfigurationError, match=r"shardId-000000000009: what comes after 1 can't be read: .*Begin again"
    ):
        lost.poll(0.1)


# faults that the server does not make on demand


class Script:
    """Answers of a stream, one after another; an error is raised."""

    def __init__(self, *answers: Any, shards: list[Shard] | None = None, retention: int = 24 * HOUR) -> None:
        self.answers = list(answers)
        self.listed = shards or [Shard("shardId-000000000000", ())]
        self.retention = retention
        self.asked: list[Any] = []

    def shards(self) -> tuple[list[Shard], int]:
        return self.listed, int(time.time() * 1_000)

    def retention_millis(self) -> int:
        return self.retention

    def iterator(self, shard: str, where: dict[str, Any]) -> str:
        self.asked.append(where)
        return f"i{len(self.asked)}"

    def records(self, iterator: str) -> dict[str, Any]:
        found = self.answers.pop(0) if self.answers else answer()
        if isinstance(found, Exception):
            raise found
        return dict(found)


class Cause(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


def refused(code: str) -> SourceError:
    error = SourceError(code)
    error.__cause__ = Cause(code)
    return error


def answer(*data: bytes, behind: int = 0) -> dict[str, Any]:
    import datetime

    moment = datetime.datetime.now(datetime.UTC)
    found = [{"SequenceNumber": f"{at + 1}", "ApproximateArrivalTimestamp": moment, "PartitionKey": "k", "Data": one} for at, one in enumerate(data)]  # fmt: skip
    return {"Records": found, "NextShardIterator": "next", "MillisBehindLatest": behind}


PART = "shardId-000000000000"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[ShardReader, Script, Clock]]:
    def make(script: Script, position: str = "~0") -> tuple[ShardReader, Script, Clock]:
        clock = Clock()
        reader = ShardReader(StreamSettings(stream="s"), {PART: position}, clock=clock, sleep=clock.sleep)
        reader._stream = script  # type: ignore[assignment]
        return reader, script, clock

    return make


def test_a_throttled_shard_waits_longer_each_time_and_holds_the_watermark(scripted: Any) -> None:
    slow = TransientSourceError("ProvisionedThroughputExceededException")
    reader, _, clock = scripted(Script(answer(b"1"), slow, slow, slow, answer(b"2")))
    assert len(reader.poll(0.2)) == 1
    assert reader.at_end(PART)
    waits = []
    while not (fetched := reader.poll(0.2)):
        waits.append(clock.now)
        assert not reader.at_end(PART)
    assert fetched[0].values == [b"2"]
    assert clock.now >= 0.5 + 1 + 2
    assert reader.at_end(PART)


def test_a_shard_is_asked_four_times_a_second_at_most(scripted: Any) -> None:
    reader, _, clock = scripted(Script(*(answer(b"x", behind=1) for _ in range(9))))
    for _ in range(9):
        assert reader.poll(0.2)
    assert clock.now == pytest.approx(8 * 0.25)
    assert not reader.at_end(PART)


def test_an_iterator_that_expired_is_renewed_where_the_reader_is(scripted: Any) -> None:
    reader, script, _ = scripted(Script(answer(b"1"), refused("ExpiredIteratorException"), answer(b"2")))
    assert [one.values for _ in range(2) for one in reader.poll(0.2)] == [[b"1"], [b"2"]]
    assert script.asked[1] == {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "1"}


def test_what_is_denied_fails(scripted: Any) -> None:
    reader, _, _ = scripted(Script(refused("AccessDeniedException")))
    with pytest.raises(SourceError, match="AccessDenied"):
        reader.poll(0.2)


def test_records_that_were_removed_unread_fail_and_not_those_that_were_read(scripted: Any) -> None:
    """Kinesis itself would go on with the oldest record that there is, and not say what is missing."""
    now = int(time.time() * 1_000)
    reader, _, _ = scripted(Script(answer(b"1")), Position("17", None, now - 25 * HOUR).text)
    with pytest.raises(
        ConfigurationError, match=r"after 17 can't be read: it was read up to 25.0 h ago, and keeps 24 h"
    ):
        reader.poll(0.2)
    reader, _, _ = scripted(Script(answer(b"1")), Position("17", None, now - 23 * HOUR).text)
    assert len(reader.poll(0.2)) == 1


def test_a_quiet_shard_notes_how_far_it_is_known(scripted: Any) -> None:
    reader, _, _ = scripted(Script(answer()), Position("17", None, int(time.time() * 1_000) - HOUR).text)
    [one] = reader.poll(0.2)
    position = parse(one.position)
    assert (position.sequence, one.values) == ("17", [])
    assert time.time() * 1_000 - position.known < 60_000
    assert reader.poll(0.2) == []


def test_a_fetch_ends_at_its_bound(scripted: Any) -> None:
    shards = [Shard(f"shardId-{at:012}", ()) for at in range(3)]
    script = Script(*(answer(b"x" * 600_000, behind=1) for _ in range(3)), shards=shards)
    clock = Clock()
    settings = StreamSettings(stream="s", fetch_bytes="1MiB")
    reader = ShardReader(settings, {shard.id: "~0" for shard in shards}, clock=clock, sleep=clock.sleep)
    reader._stream = script  # type: ignore[assignment]
    assert [len(reader.poll(0.2)), len(reader.poll(0.2))] == [2, 1]


@pytest.mark.parametrize("position", [Position(), Position("1", None, 2), Position("", 3, 0), Position("", 3, 4)])
def test_a_position_survives_as_text(position: Position) -> None:
    assert parse(position.text) == position


@pytest.mark.parametrize("text", ["x", "@", "1~x", "@1~"])
def test_a_text_that_is_no_position(text: str) -> None:
    if text == "@1~":
        assert parse(text) == Position("", 1, 0)
        return
    with pytest.raises(ConfigurationError, match="is no position in a shard"):
        parse(text)
