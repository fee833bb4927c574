"""Kinesis as a source: a part is a shard, and its position the sequence number that was read last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from beam_s3box.errors import ConfigurationError, SourceError
from beam_s3box.sources.kafka.client import EARLIEST, LATEST
from beam_s3box.sources.kafka.start import Start, millis_of
from beam_s3box.sources.kinesis.positions import END, Position, parse
from beam_s3box.sources.kinesis.reader import ShardReader
from beam_s3box.sources.kinesis.stream import Stream, StreamSettings
from beam_s3box.sources.source import Fetched, Positions

_HOUR: Final = 3_600_000


class KinesisRow(NamedTuple):
    """A record of Kinesis as a row.

    Attributes:
      data: its bytes.
      partition_key: by which it came into its shard.
      stream, shard, sequence_number: where it is.
      sub_sequence_number: its place, from 0, in a record of the producer library; 0 for others.
      timestamp: when it arrived, about; milliseconds since 1970.
    """

    data: bytes
    partition_key: str
    stream: str
    shard: str
    sequence_number: str
    sub_sequence_number: int
    timestamp: int


class KinesisSource:
    """The shards of a stream.

    Args:
      settings: how it is reached and read.
      start: where to begin.
      has_rows: whether records are to be rows, which keeps more of them in memory.

    Raises:
      ConfigurationError: no such place to begin.
    """

    def __init__(self, settings: StreamSettings, start: Start = "earliest", *, has_rows: bool = False) -> None:
        self.settings = settings
        self._has_rows = has_rows
        self._start: int | dict[str, str]
        if isinstance(start, Mapping):
            self._start = dict(start)
            for text in self._start.values():
                if text != END:
                    parse(text)
        else:
            self._start = millis_of(start)

    def first(self) -> Positions:
        """Return shards and the positions to begin with; shards that come from these are found when these are read.

        Raises:
          ConfigurationError: the stream can't be read, or does not keep records for so long.
        """
        try:
            return self._first(Stream(self.settings))
        except SourceError as exc:
            raise ConfigurationError(f"stream={self.settings.stream!r} can't be read: {exc}") from exc

    def _first(self, stream: Stream) -> Positions:
        shards, now = stream.shards()
        listed = {shard.id for shard in shards}
        if isinstance(self._start, dict):
            # those that are younger than these positions are read from their begin
            return {shard: text for shard, text in self._start.items() if shard in listed or text != END}
        if self._start == EARLIEST:
            return {shard.id: Position().text for shard in shards if listed.isdisjoint(shard.parents)}
        since = now if self._start == LATEST else self._start
        if self._start != LATEST:
            self._check_kept(now - since, stream.retention_millis())
        return dict.fromkeys(listed, Position("", min(since, now)).text)

    def _check_kept(self, age: int, kept: int) -> None:
        if age > kept:
            raise ConfigurationError(
                f"start is {age / _HOUR:.1f} h ago, and stream {self.settings.stream!r} keeps records for "
                f"{kept // _HOUR} h: begin 'earliest', or later"
            )

    def number_of(self, part: str) -> int:
        """Return the number of a shard."""
        return int(part.rpartition("-")[2])

    def name_of(self, part: str) -> str:
        """Return the shard as a URL: `kinesis://clicks/shardId-000000000000`."""
        return f"kinesis://{self.settings.name}/{part}"

    def domain_of(self, part: str) -> str | None:
        """Return None: records name their domain, or the write does."""
        return None

    def rows(self, fetched: Fetched) -> Iterator[tuple[int, KinesisRow]]:
        """Yield each record as a row."""
        for key, data, number, within, millis in fetched.messages:
            yield millis * 1_000, KinesisRow(data, key, self.settings.name, fetched.part, number, within, millis)

    def open(self, positions: Positions) -> ShardReader:
        """Return a reader of shards."""
        return ShardReader(self.settings, positions, has_rows=self._has_rows)
