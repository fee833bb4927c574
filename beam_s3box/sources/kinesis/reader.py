"""ShardReader: reads shards from the positions that the runner keeps, as fast as Kinesis allows and no faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from beam_s3box.errors import ConfigurationError, SourceError, TransientSourceError
from beam_s3box.sources.aws import code_of
from beam_s3box.sources.kinesis.aggregates import unpacked
from beam_s3box.sources.kinesis.positions import END, Position, parse
from beam_s3box.sources.kinesis.stream import Shard, Stream, StreamSettings
from beam_s3box.sources.source import Fetched, Look, Positions

_BUSY_SECONDS: Final = 0.25
"""Between two requests to a shard that has more: five a second are allowed to all consumers together."""

_IDLE_SECONDS: Final = 1.0
"""The same for a shard that was at its end."""

_PAUSES: Final = (0.5, 8.0)
"""The first and the longest wait after a shard was throttled or did not answer; it doubles."""

_NOTE_MILLIS: Final = 600_000
"""A shard without new records notes that often how far it is known, for `_check_retention`."""


class _Reading:
    """One shard."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.iterator: str | None = None
        self.parents: tuple[str, ...] | None = ()
        self.due = 0.0
        self.pause = _PAUSES[0]
        self.is_at_end = False


class ShardReader:
    """Reads shards.

    *Guarantees*: a shard that another one of this reader was split or merged into is read after it. A shard is at its
    end if Kinesis has said that nothing follows, and no error has been seen since.

    Args:
      settings: how the stream is reached and read.
      positions: where to go on in each shard.
      has_rows: whether to keep what rows need.
      clock: monotonic seconds.
      sleep: waits so many seconds.

    Raises:
      ConfigurationError: records were removed before they were read.
    """

    def __init__(
        self,
        settings: StreamSettings,
        positions: Positions,
        *,
        has_rows: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stream = Stream(settings)
        self._name = settings.stream
        self._most_bytes = int(settings.fetch_bytes)
        self._has_rows = has_rows
        self._clock = clock
        self._sleep = sleep
        self._open = {shard: _Reading(parse(text)) for shard, text in positions.items() if text != END}
        # whether all that they were split or merged into is known
        self._ended = {shard: False for shard, text in positions.items() if text == END}
        for reading in self._open.values():
            reading.parents = None  # asked for before the first record is
        self._retention: int | None = None

    def look(self, is_mine: Callable[[str], bool]) -> Look | None:
        """Find new shards, and take those of this reader whose parents are read to their ends; None for no answer."""
        try:
            shards, _ = self._stream.shards()
        except TransientSourceError:
            self._doubt()
            return None
        self._learn_parents(shards)
        listed = {shard.id for shard in shards}
        mine = {shard.id: shard.parents for shard in shards if is_mine(shard.id)}
        # a parent that is to be read by this reader, but is not yet, is waited for, too
        new = [
            shard for shard, parents in mine.items() if mine.keys().isdisjoint(parents) and not self._is_held(parents)
        ]
        for shard in new:
            self._open[shard] = _Reading(Position())
        # children of these are known now
        self._ended = dict.fromkeys(self._ended, True)
        gone = [shard for shard in self._ended if shard not in listed]
        for shard in gone:
            del self._ended[shard]
        return Look({shard: Position().text for shard in new}, gone)

    def poll(self, seconds: float) -> list[Fetched]:
        """Return what has come, by shard, after asking each shard whose time it is."""
        self._find_parents()
        active = [one for one in self._open.items() if not self._is_held(one[1].parents)]
        # those that have waited longest come first, as what is fetched may reach its bound
        active.sort(key=lambda one: one[1].due)
        if not active:
            self._sleep(seconds)
            return []
        self._sleep(min(max(0.0, active[0][1].due - self._clock()), max(seconds, _IDLE_SECONDS)))
        fetched: list[Fetched] = []
        size = 0
        for shard, reading in active:
            if reading.due > self._clock():
                continue
            one = self._read(shard, reading)
            if one is not None:
                fetched.append(one)
                size += sum(map(len, one.values))
            if size >= self._most_bytes:
                break
        return fetched

    def at_end(self, part: str) -> bool:
        """Return whether nothing follows in a shard; of one that was split or merged, when its children are known."""
        return self._ended[part] if part in self._ended else self._open[part].is_at_end

    def committed(self, positions: Positions) -> None:
        """Do nothing: nobody else asks how far a stream is read."""

    def close(self) -> None:
        """Do nothing: the client is shared by the readers of a process."""

    def _read(self, shard: str, reading: _Reading) -> Fetched | None:
        """Return the next records of a shard, None for none."""
        try:
            answer = self._ask(shard, reading)
        except TransientSourceError:
            reading.is_at_end = False
            reading.due, reading.pause = self._clock() + reading.pause, min(2 * reading.pause, _PAUSES[1])
            return None
        reading.pause = _PAUSES[0]
        reading.iterator = answer.get("NextShardIterator")
        records, behind = answer["Records"], int(answer.get("MillisBehindLatest") or 0)
        reading.is_at_end = not behind
        reading.due = self._clock() + (_BUSY_SECONDS if records or behind else _IDLE_SECONDS)
        if records:
            one = self._fetched(shard, reading, records)
        elif self._is_note_due(reading):
            one = Fetched(shard, reading.position.text, [], [], [])
        else:
            one = None
        if reading.iterator is None:
            # it was split or merged, and that was its last record
            del self._open[shard]
            self._ended[shard] = False
            one = one or Fetched(shard, END, [], [], [])
            one.position = END
        return one

    def _ask(self, shard: str, reading: _Reading) -> dict[str, Any]:
        if reading.iterator is not None:
            try:
                return self._stream.records(reading.iterator)
            except SourceError as exc:
                if code_of(exc.__cause__) != "ExpiredIteratorException":
                    raise
        return self._stream.records(self._iterator(shard, reading.position))

    def _iterator(self, shard: str, position: Position) -> str:
        self._check_retention(shard, position)
        where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if position.sequence:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": position.sequence}
        elif position.since is not None:
            where = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": position.since / 1_000}
        try:
            return self._stream.iterator(shard, where)
        except TransientSourceError:
            raise
        except SourceError as exc:
            if code_of(exc.__cause__) in ("ResourceNotFoundException", "InvalidArgumentException"):
                raise self._lost(shard, position, str(exc).partition("; ")[0]) from exc
            raise

    def _check_retention(self, shard: str, position: Position) -> None:
        """Raise ConfigurationError if records may have been removed unread: Kinesis would pass over them silently."""
        if not position.known:
            return
        if self._retention is None:
            self._retention = self._stream.retention_millis()
        age = int(time.time() * 1_000) - position.known
        if age > self._retention:
            hours = self._retention // 3_600_000
            raise self._lost(shard, position, f"it was read up to {age / 3_600_000:.1f} h ago, and keeps {hours} h")

    def _lost(self, shard: str, position: Position, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._name}/{shard}: what comes after {position.sequence or position.text} can't be read: {reason}. "
            "The stream's retention removed records before they were read, or the stream was made again. Begin again "
            "with start='earliest' (--kinesis_start earliest), which reads what there is and leaves the gap, or at a "
            "time; and let the stream keep records longer, or give the job more readers"
        )

    def _is_note_due(self, reading: _Reading) -> bool:
        """Return whether to note how far a shard at its end is known; does so."""
        if not reading.is_at_end:
            return False
        now, position = int(time.time() * 1_000), reading.position
        if now - position.known < _NOTE_MILLIS:
            return False
        reading.position = position._replace(known=now)
        return True

    def _fetched(self, shard: str, reading: _Reading, records: list[dict[str, Any]]) -> Fetched:
        millis: list[int] = []
        values: list[bytes] = []
        numbers: list[str] = []
        messages: list[Any] = []
        for record in records:
            number, came = record["SequenceNumber"], int(record["ApproximateArrivalTimestamp"].timestamp() * 1_000)
            parts = unpacked(record["Data"])
            within = parts if parts is not None else [(record["PartitionKey"], record["Data"])]
            for at, (key, data) in enumerate(within):
                values.append(data.rstrip(b"\r\n") if data.endswith(b"\n") else data)
                numbers.append(number if parts is None else f"{number}/{at}")
                if self._has_rows:
                    messages.append((key, data, number, at, came))
            millis += [came] * len(within)
        # what came before the last record is read; a child knows nothing of its parent's times
        reading.position = Position(records[-1]["SequenceNumber"], None, came)
        return Fetched(shard, reading.position.text, millis, values, numbers, 0, messages)

    def _find_parents(self) -> None:
        """Ask which shards come after others, once: a reader that goes on may have parents and children."""
        if any(reading.parents is None for reading in self._open.values()):
            try:
                self._learn_parents(self._stream.shards()[0])
            except TransientSourceError:
                self._doubt()

    def _learn_parents(self, shards: list[Shard]) -> None:
        parents = {shard.id: shard.parents for shard in shards}
        for shard, reading in self._open.items():
            if reading.parents is None:
                reading.parents = parents.get(shard, ())

    def _is_held(self, parents: tuple[str, ...] | None) -> bool:
        """Return whether a shard must wait for one of this reader; unknown parents are waited for, too."""
        return parents is None or any(parent in self._open for parent in parents)

    def _doubt(self) -> None:
        for reading in self._open.values():
            reading.is_at_end = False
