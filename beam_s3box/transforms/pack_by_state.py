"""PackByState: packs the remainders of all bundles into shards, sealed by size, by age, and at the end of their window.

The form for unbounded input. Its key has the stream, the lane and the window, and its input is in the global window:
runners would keep state in the window itself until the lateness is over, and that would hold back all manifests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.coders import BooleanCoder, BytesCoder, FloatCoder, StrUtf8Coder, TupleCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Duration, Timestamp

from beam_s3box import metrics
from beam_s3box.engine.window_buffer import BufferState, WindowBuffer
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import format_of
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import SealedShard, Segment
from beam_s3box.shards.packing import BY_SECONDS, Capacity
from beam_s3box.shards.runs import new_origin
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import into_global_window
from beam_s3box.transforms.runtime import BeamCounts
from beam_s3box.transforms.windows import last_moment

Key: TypeAlias = tuple[str, str, int, bytes, str]
"""Domain, namespace, lane, the window as bytes, and the fingerprint of the format of the segment.

A job that is updated in place keeps its state: with the fingerprint, segments of another format or schema, in state or
in flight, are never joined to those of this one.
"""

_SEGMENT = tuple[bytes, int, int, int]

_SEGMENTS = BagStateSpec("segments", TupleCoder((BytesCoder(), VarIntCoder(), VarIntCoder(), VarIntCoder())))
_BUFFER = ReadModifyWriteStateSpec(
    "buffer", TupleCoder((VarIntCoder(), VarIntCoder(), VarIntCoder(), VarIntCoder(), BooleanCoder(), StrUtf8Coder()))
)
_ARRIVED = ReadModifyWriteStateSpec("arrived", FloatCoder())
_END = TimerSpec("end", TimeDomain.WATERMARK)
_AGE = TimerSpec("age", TimeDomain.REAL_TIME)
_FORGET = TimerSpec("forget", TimeDomain.WATERMARK)

_KEY = beam.DoFn.KeyParam
_SEGMENTS_STATE = beam.DoFn.StateParam(_SEGMENTS)
_BUFFER_STATE = beam.DoFn.StateParam(_BUFFER)
_ARRIVED_STATE = beam.DoFn.StateParam(_ARRIVED)
_END_TIMER = beam.DoFn.TimerParam(_END)
_AGE_TIMER = beam.DoFn.TimerParam(_AGE)
_FORGET_TIMER = beam.DoFn.TimerParam(_FORGET)
_END_OF_TIME = GlobalWindow().max_timestamp()
_LEAST_MEMORY = Duration.of(60)
"""How long an ended window is remembered at least, so that records beyond the lateness need no timers either."""


class PackByState(beam.PTransform):
    """Collects remainder segments by stream, lane and window, and seals shards, which are not uploaded yet.

    *Guarantees*: every segment is in one shard, in the order of its lane. A shard waits no longer than `max_seconds` of
    the stream since its first segment, and not past the end of its window; a later segment becomes a shard at once,
    without a timer, so that late records never hold back the watermark.

    *Windows*: the input's; the output is `(encoded window, shard)` in the global window, stamped with the window's end.
    """

    def __init__(self, plan: WritePlan, allowed_lateness: Duration, clock: Callable[[], float]) -> None:
        super().__init__()
        self._plan = plan
        self._lateness = allowed_lateness
        self._clock = clock

    def expand(self, remainders: beam.PCollection) -> beam.PCollection:
        """Return the shards."""
        pack = _PackByState(self._plan, self._lateness, self._clock)
        return (
            remainders
            | "KeyByWindow" >> beam.ParDo(_KeyByWindow(self._plan)).with_output_types(tuple[Key, _SEGMENT])
            | "WindowGlobally" >> into_global_window()
            | "Pack" >> beam.ParDo(pack).with_output_types(tuple[bytes, SealedShard])
        )


class _KeyByWindow(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def start_bundle(self) -> None:
        self._fingerprints: dict[Stream, str] = {}

    def process(
        self, element: tuple[tuple[str, str, int], tuple[Any, ...]], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[tuple[Key, tuple[Any, ...]]]:
        (domain, namespace, lane), segment = element
        stream = Stream(domain, namespace)
        if stream not in self._fingerprints:
            self._fingerprints[stream] = format_of(self._plan.format, stream).fingerprint
        yield (domain, namespace, lane, self._plan.windows.encode(window), self._fingerprints[stream]), segment


class _SegmentsInState:
    """Segments in the state of the runner."""

    def __init__(self, bag: Any, counts: BeamCounts) -> None:
        self._bag = bag
        self._counts = counts

    def append(self, segment: Segment) -> None:
        self._counts.count(metrics.STATE_WRITES)
        self._bag.add(tuple(segment))

    def take(self) -> tuple[Segment, ...]:
        self._counts.count(metrics.STATE_READS)
        self._counts.count(metrics.STATE_WRITES)
        segments = tuple(map(Segment._make, self._bag.read()))
        self._bag.clear()
        return segments


class _PackByState(beam.DoFn):
    """The part of Beam: state, timers, timestamps. WindowBuffer decides what to seal."""

    def __init__(self, plan: WritePlan, allowed_lateness: Duration, clock: Callable[[], float]) -> None:
        self._plan = plan
        self._lateness = allowed_lateness
        self._clock = clock

    def setup(self) -> None:
        self._counts = BeamCounts()
        # a lower bound of the watermark, from the timers that fired here
        self._passed = MIN_TIMESTAMP

    def process(
        self,
        element: tuple[Key, tuple[Any, ...]],
        segments: Any = _SEGMENTS_STATE,
        cell: Any = _BUFFER_STATE,
        arrived: Any = _ARRIVED_STATE,
        end: Any = _END_TIMER,
        age: Any = _AGE_TIMER,
    ) -> Iterator[TimestampedValue]:
        key, segment = element[0], Segment(*element[1])
        last, stored = self._last_moment(key), self._read(cell)
        # a window that is known to have ended needs no state, and no timer, which would fire at once
        state = stored or BufferState.new(new_origin(), ended=last <= self._passed)
        buffer = self._buffer(key, state, segments)
        if state.ended:
            self._counts.count(metrics.RECORDS_LATE, segment.records)
        elif stored is None:
            end.set(min(last, _END_OF_TIME))
        has_older = bool(buffer)
        shards, begun = buffer.add(segment)
        shards = self._with_arrival(shards, arrived, segment, has_older=has_older)
        if begun:
            self._start_clock(key, age, arrived)
        elif shards and not buffer and not state.ended:
            age.clear()
        if stored is not None or not state.ended:
            self._write(cell, buffer)
        yield from self._stamped(key, shards, last)

    @on_timer(_AGE)
    def on_age(
        self,
        key: Any = _KEY,
        segments: Any = _SEGMENTS_STATE,
        cell: Any = _BUFFER_STATE,
        arrived: Any = _ARRIVED_STATE,
    ) -> Iterator[TimestampedValue]:
        """Seal what has waited long enough; runners may also fire this timer when nothing is left."""
        state = self._read(cell)
        if state is None:
            return
        buffer = self._buffer(key, state, segments)
        shards = self._with_arrival(buffer.seal(BY_SECONDS), arrived)
        self._write(cell, buffer)
        yield from self._stamped(key, shards, self._last_moment(key))

    @on_timer(_END)
    def on_end(
        self,
        key: Any = _KEY,
        segments: Any = _SEGMENTS_STATE,
        cell: Any = _BUFFER_STATE,
        arrived: Any = _ARRIVED_STATE,
        age: Any = _AGE_TIMER,
        forget: Any = _FORGET_TIMER,
    ) -> Iterator[TimestampedValue]:
        """Seal what is left of the window, and remember that it has ended."""
        # if this timer stays set, a job on Flink spins for ever
        age.clear()
        last, state = self._last_moment(key), self._read(cell)
        self._passed = max(self._passed, last)
        if state is None:
            return
        buffer = self._buffer(key, state, segments)
        shards = self._with_arrival(buffer.end(), arrived)
        self._write(cell, buffer)
        if last < _END_OF_TIME:
            forget.set(min(last + max(self._lateness, _LEAST_MEMORY), _END_OF_TIME))
        yield from self._stamped(key, shards, last)

    @on_timer(_FORGET)
    def on_forget(self, cell: Any = _BUFFER_STATE, arrived: Any = _ARRIVED_STATE) -> None:
        """Forget the window: what arrives now is beyond the lateness."""
        self._counts.count(metrics.STATE_WRITES)
        cell.clear()
        arrived.clear()

    def _start_clock(self, key: Key, age: Any, arrived: Any) -> None:
        """Set the time limit of a shard that got its first records, and remember when, for the run's record."""
        seconds = self._plan.limits_of(_stream_of(key)).max_seconds
        now = self._clock() if self._plan.unbounded else None
        # bounded input ends without it, and FnApiRunner never fires processing-time timers then
        if seconds is not None and now is not None:
            age.set(Timestamp.of(now + seconds))
        else:
            age.clear()
        if now is not None:
            self._counts.count(metrics.STATE_WRITES)
            arrived.write(now)

    def _with_arrival(
        self, shards: list[SealedShard], arrived: Any, segment: Segment | None = None, *, has_older: bool = True
    ) -> list[SealedShard]:
        """Return shards with the time when their first records came: the oldest has what was in state before."""
        if not shards or not self._plan.unbounded:
            return shards
        times: list[float] = []
        if has_older and shards[0].segments[0] is not segment:
            self._counts.count(metrics.STATE_READS)
            times = [arrived.read() or 0.0]
        if len(times) < len(shards):
            times += [self._clock()] * (len(shards) - len(times))
        return [shard._replace(arrived=time) for shard, time in zip(shards, times, strict=True)]

    def _last_moment(self, key: Key) -> Timestamp:
        return last_moment(self._plan.windows.decode(key[3]))

    def _buffer(self, key: Key, state: BufferState, segments: Any) -> WindowBuffer:
        plan, stream = self._plan, _stream_of(key)
        window = plan.windows.name(plan.windows.decode(key[3]))
        format = format_of(plan.format, stream)
        if format.fingerprint != key[4]:
            raise ConfigurationError(
                f"format: the state of the job has records of {stream} as {key[4]}, and this pipeline writes "
                f"{format.fingerprint}, which can't be in one shard with them: a running job can't change its format "
                "or schemas; go back to the previous pipeline, drain it, and start the new one as a new job"
            )
        capacity = Capacity.of(plan.limits_of(stream), format.overhead)
        return WindowBuffer(stream, window, state, _SegmentsInState(segments, self._counts), capacity)

    def _read(self, cell: Any) -> BufferState | None:
        self._counts.count(metrics.STATE_READS)
        values = cell.read()
        return BufferState(*values) if values else None

    def _write(self, cell: Any, buffer: WindowBuffer) -> None:
        self._counts.count(metrics.STATE_WRITES)
        cell.write(tuple(buffer.state))

    @staticmethod
    def _stamped(key: Key, shards: list[SealedShard], last: Timestamp) -> Iterator[TimestampedValue]:
        for shard in shards:
            yield TimestampedValue((key[3], shard), last)


def _stream_of(key: Key) -> Stream:
    return Stream(key[0], key[1])
