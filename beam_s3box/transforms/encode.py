"""EncodeSegments: turns records into full shards and remainder segments, bundle by bundle."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow, GlobalWindows, WindowFn
from apache_beam.typehints import List as BeamList
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box import metrics
from beam_s3box.engine.dead_letters import DeadLetterBatch
from beam_s3box.engine.intake import Intake
from beam_s3box.engine.shard_builder import Flushed, ShardBuilder
from beam_s3box.formats import encoders_of
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.records.rejected_records import RejectedRecord, RejectedRecords
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.lanes import by_lane
from beam_s3box.shards.model import SealedShard
from beam_s3box.shards.runs import new_origin
from beam_s3box.sizes import KiB
from beam_s3box.system.outside import wall_seconds
from beam_s3box.transforms.input_totals import BY_FILE
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, check_once, claim_at_begin, codec_threads
from beam_s3box.transforms.windows import last_moment

_T = TypeVar("_T")

SHARDS = "shards"
DEAD_LETTERS = "dead_letters"
INPUT_TOTALS = "input_totals"

_MAX_WAITING = 1_000
_MAX_WAITING_BYTES = 256 * KiB
"""Records that come one by one are counted and packed so many at a time: alone, that costs more than routing."""

_GLOBAL = GlobalWindow()
_REMAINDER = tuple[tuple[str, str, int], tuple[bytes, int, int, int]]


class EncodeSegments(beam.DoFn):
    """Validates, routes, encodes and compresses records of the global window, and seals full shards.

    Emits remainder segments by stream and lane; with the tag `SHARDS`: SealedShard; with the tag `DEAD_LETTERS`:
    DeadLetterBatch; with the tag `INPUT_TOTALS`: `(file, InputTotals)` of the bundle. Takes elements one by one or,
    from a step that yields batches, a batch at a time.
    """

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        """Claim the run id before the first shard, and create what lives as long as the worker."""
        if self._plan.check_before_reading:
            check_once(self._plan.store, self._plan.claim)
        claim_at_begin(self._plan.store, self._plan.claim)
        self._router = self._new_router(self._plan.selector)
        self._routers: dict[str, Router] = {}
        self._counts = BeamCounts()

    def start_bundle(self) -> None:
        """Start with empty buffers under a new origin: a retry of the bundle writes other keys."""
        plan = self._plan
        origin = new_origin()
        self._began = wall_seconds()
        self._builder = ShardBuilder(
            plan.format, plan.limits_of, codec_threads(), origin, plan.budget, min_fill_to_seal=plan.min_fill_to_seal
        )
        self._windows: dict[str, Any] = {"": _GLOBAL}
        self._intakes: dict[str, Intake] = {}
        self._waiting: dict[str, dict[Stream, list[bytes]]] = {}
        self._waiting_records = self._waiting_bytes = 0
        self._lanes: dict[Stream, int] = {}

    def process(self, element: Any) -> Iterator[Any] | None:
        """Take one element; emit shards that are full."""
        return self._outputs(self._add_element(element, ""))

    @beam.DoFn.yields_elements
    def process_batch(self, batch: list[Any]) -> Iterator[Any] | None:
        """Take a batch of elements, in order."""
        return self._outputs(self._add_batch(batch, ""))

    def get_input_batch_type(self, input_element_type: Any) -> Any:
        """Return the type of batches: a list of the input type."""
        return BeamList[input_element_type]

    def finish_bundle(self) -> Iterator[Any]:
        """Emit everything that is left."""
        self._pack_waiting()
        yield from self._emit(self._builder.finish())
        yield from self._emit_totals()

    def _pack_waiting(self) -> None:
        """Count and pack the records that came one by one, in order."""
        self._counts.count(metrics.RECORDS_IN, self._waiting_records)
        for window, groups in self._waiting.items():
            self._pack(groups, window)
            self._intake(window).count(sum(map(len, groups.values())), [])
        self._waiting.clear()
        self._waiting_records = self._waiting_bytes = 0

    def _add_element(self, element: Any, window: str) -> list[DeadLetterBatch]:
        if type(element) is LineBatch:
            return self._add_lines(element.lines, window, element)
        if type(element) is ColumnBatch:
            return self._add_columns(element, window)
        if type(element) is RejectedLines:
            return self._reject(element, window)
        routed = self._add(element, window)
        if routed is None:
            return []
        return [self._intake(window).count(1, [routed], [element] if type(element) is RejectedRow else None)]

    def _add_batch(self, batch: list[Any], window: str) -> list[DeadLetterBatch]:
        """Take elements, and return those that are rejected."""
        if set(map(type, batch)) == {bytes}:
            return self._add_lines(batch, window)
        letters: list[DeadLetterBatch] = []
        rejected: list[tuple[str, RejectedRecord, Any]] = []
        for element in batch:
            if type(element) is LineBatch:
                letters += self._add_lines(element.lines, window, element)
            elif type(element) is ColumnBatch:
                letters += self._add_columns(element, window)
            elif type(element) is RejectedLines:
                letters += self._reject(element, window)
            elif (routed := self._add(element, window)) is not None:
                rejected.append((element.source if type(element) is RejectedRow else "", routed, element))
        for source, group in itertools.groupby(rejected, operator.itemgetter(0)):
            _, records, elements = zip(*group, strict=True)
            letters.append(self._intake(window).count(len(records), records, elements if source else None))
        return letters

    def _add(self, element: Any, window: str) -> RejectedRecord | None:
        routed = self._router.route(element)
        self._waiting_records += 1
        rejected: RejectedRecord | None = None
        if isinstance(routed, RejectedRecord):
            rejected = routed
        else:
            self._wait(*routed, window)
        if self._waiting_records >= _MAX_WAITING or self._waiting_bytes >= _MAX_WAITING_BYTES:
            self._pack_waiting()
        return rejected

    def _wait(self, stream: Stream, line: bytes, window: str) -> None:
        groups = self._waiting.get(window)
        if groups is None:
            groups = self._waiting[window] = {}
        group = groups.get(stream)
        if group is None:
            groups[stream] = [line]
        else:
            group.append(line)
        self._waiting_bytes += len(line)

    def _pack(self, groups: Mapping[Stream, list[bytes]], window: str) -> None:
        for stream, group in groups.items():
            for lane, some in by_lane(group, self._lanes_of(stream)):
                self._builder.add((stream, window, lane), some)

    def _add_lines(self, lines: list[bytes], window: str, batch: LineBatch | None = None) -> list[DeadLetterBatch]:
        if self._waiting:
            self._pack_waiting()
        self._counts.count(metrics.RECORDS_IN, len(lines))
        domain = None if batch is None else batch.domain
        router = self._router if domain is None else self._router_of(domain)
        groups, rejected = router.route_lines(lines)
        self._pack(groups, window)
        letters = self._intake(window).count(len(lines), rejected, batch)
        return [letters] if letters else []

    def _add_columns(self, batch: ColumnBatch, window: str) -> list[DeadLetterBatch]:
        if self._waiting:
            self._pack_waiting()
        groups, left = self._router.route_columns(batch)
        records = len(batch) - (0 if left is None else len(left))
        self._counts.count(metrics.RECORDS_IN, records)
        for stream, group in groups.items():
            lanes = self._lanes_of(stream)
            if lanes == 1:
                self._builder.add_text((stream, window, 0), group.text, len(group.places))
                continue
            for lane, some in by_lane(group.text.split(b"\n"), lanes):
                self._builder.add((stream, window, lane), some)
        self._intake(window).count(records, [], LineBatch([], batch.source, ()))
        lines = () if left is None else left.to_lines()
        return [letters for some in lines for letters in self._add_lines(some.lines, window, some)]

    def _reject(self, rejected: RejectedLines, window: str) -> list[DeadLetterBatch]:
        reason, detail, batch = rejected.reason, rejected.detail, rejected.batch
        self._counts.count(metrics.RECORDS_IN, len(batch.lines))
        records = RejectedRecords()
        records.add(None, reason, detail, batch.lines)
        return [self._intake(window).count(len(records), records, batch)]

    def _router_of(self, domain: str) -> Router:
        """Return the router of lines whose domain their source knows, as that of a topic."""
        router = self._routers.get(domain)
        if router is None:
            selector = dataclasses.replace(self._plan.selector, domain=domain, domain_field=None)
            router = self._routers[domain] = self._new_router(selector)
        return router

    def _new_router(self, selector: StreamSelector) -> Router:
        return Router(selector, self._plan.rules, encoders_of(self._plan.format))

    def _intake(self, window: str) -> Intake:
        intake = self._intakes.get(window)
        if intake is None:
            intake = self._intakes[window] = Intake(self._plan, self._counts)
        return intake

    def _lanes_of(self, stream: Stream) -> int:
        lanes = self._lanes.get(stream)
        if lanes is None:
            lanes = self._lanes[stream] = self._plan.limits_of(stream).lanes
        return lanes

    def _outputs(self, letters: list[DeadLetterBatch]) -> Iterator[Any] | None:
        """Return what to emit now; None for nothing, because a generator per element costs more than its record."""
        if self._waiting and not letters:
            return None  # what came last is not packed yet
        flushed = self._builder.poll()
        if not letters and not flushed.shards and not flushed.remainders:
            return None
        return self._emit_all(letters, flushed)

    def _emit_all(self, letters: list[DeadLetterBatch], flushed: Flushed) -> Iterator[Any]:
        for batch in letters:
            yield beam.pvalue.TaggedOutput(DEAD_LETTERS, batch)
        yield from self._emit(flushed)

    def _emit_totals(self) -> Iterator[Any]:
        for window, intake in self._intakes.items():
            for totals in intake.totals().items():
                yield beam.pvalue.TaggedOutput(INPUT_TOTALS, self._in_window(totals, window))

    def _emit(self, flushed: Flushed) -> Iterator[Any]:
        for shard in _drained(flushed.shards):
            if self._plan.unbounded:
                shard = shard._replace(arrived=self._began)
            yield beam.pvalue.TaggedOutput(SHARDS, self._in_window(shard, shard.window))
        for (stream, window, lane), segment in _drained(flushed.remainders):
            self._counts.count(metrics.SHUFFLED_BYTES, len(segment.data))
            yield self._in_window(((*stream, lane), tuple(segment)), window)

    def _in_window(self, value: Any, window: str) -> WindowedValue:
        actual = self._windows[window]
        return WindowedValue(value, last_moment(actual), (actual,))


def _drained(items: list[_T]) -> Iterator[_T]:
    """Yield the items in order, and release each: what is emitted is copied, and need not be held twice."""
    items.reverse()
    while items:
        yield items.pop()


class EncodeWindowedSegments(EncodeSegments):
    """The same for records in windows; separate, because asking for the window costs as much as routing a record."""

    def process(self, element: Any, window: Any = beam.DoFn.WindowParam) -> Iterator[Any] | None:
        """Take one element of one window."""
        return self._outputs(self._add_element(element, self._name(window)))

    @beam.DoFn.yields_elements
    def process_batch(self, batch: list[Any], window: Any = beam.DoFn.WindowParam) -> Iterator[Any] | None:
        """Take a batch of elements of one window, in order."""
        return self._outputs(self._add_batch(batch, self._name(window)))

    def start_bundle(self) -> None:
        """Start with empty buffers."""
        super().start_bundle()
        self._names: dict[Any, str] = {}

    def _name(self, window: Any) -> str:
        name = self._names.get(window)
        if name is None:
            name = self._names[window] = self._plan.windows.name(window)
            self._windows[name] = window
        return name


def encoder_of(plan: WritePlan, windowfn: WindowFn) -> beam.ParDo:
    """Return the step for records in these windows."""
    encode = EncodeSegments(plan) if isinstance(windowfn, GlobalWindows) else EncodeWindowedSegments(plan)
    tagged = {SHARDS: SealedShard, DEAD_LETTERS: Any, INPUT_TOTALS: BY_FILE}
    return beam.ParDo(encode).with_output_types(_REMAINDER, **tagged)
