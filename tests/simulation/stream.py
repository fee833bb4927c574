"""Whole schedules of a stream: from its first bundle until it was stopped, or all that came is listed, and what holds then."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import DebugOptions
from apache_beam.pvalue import PCollection
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.transforms.window import FixedWindows, GlobalWindows, WindowFn

from beam_s3box import Manifests, StreamLimits, WriteToS3Box
from beam_s3box.engine import run_notices, signs_of_life
from beam_s3box.engine.run_notices import RunNotices, ask_to_stop
from beam_s3box.records.batches import LineBatch
from beam_s3box.stores.s3 import S3Store
from beam_s3box.transforms.engines import _FlinkOptions
from tests.simulation import oracle, reading
from tests.simulation.graph import SOURCE, stages_of
from tests.simulation.kept import Topology
from tests.simulation.keyed import KeyState
from tests.simulation.reading import Readers, Record, Topic
from tests.simulation.s3 import SimS3, sim_store
from tests.simulation.stream_job import Engine, JobFailedError, StreamJob
from tests.simulation.threads import on_actors
from tests.simulation.world import START, Choices, World

RECORDS: Final = 18
_PARTS: Final = 2
_COMES_SECONDS: Final = 60
"""In which all records come."""

_WINDOW_SECONDS: Final = 12
_MAX_SECONDS: Final = 3
_CALM_SECONDS: Final = 200.0
"""In which all is listed when nothing fails any more, without the requests: restarts, timers, pauses between looks."""

_CALM_REQUESTS: Final = 200
"""That are made in that time one after the other, each of a request and a reply that take their time.

The manifests of a run are a chain, about 120 requests. A job that goes back to its beginning writes all of it again, and
begins that again and again for as long as an outdated worker still writes its own part of the chain: what it finds newer
than itself it may not replace. Where a request takes two seconds, that alone takes longer than all else.
"""

ENDINGS: Final = ("runs on", "stop", "drain", "cancel")


@dataclasses.dataclass(frozen=True)
class Config:
    """A pipeline that is built once and run in many worlds."""

    engine: str
    per: str
    count: int
    max_records: int
    windows: int
    lateness: int
    early: int | None


CONFIGS: Final = [
    Config("flink", "stream", 1, 3, _WINDOW_SECONDS, 30, None),
    Config("flink", "run", 2, 4, _WINDOW_SECONDS, 0, 3),
    Config("flink", "stream", 1, 3, 0, 0, 2),
    Config("dataflow", "stream", 2, 3, _WINDOW_SECONDS, 30, None),
    Config("dataflow", "run", 1, 4, 0, 0, 4),
    Config("prism", "stream", 1, 3, _WINDOW_SECONDS, 30, None),
    Config("prism", "run", 1, 4, _WINDOW_SECONDS, 10, 4),
]


@dataclasses.dataclass
class _Built:
    topology: Topology
    write: WriteToS3Box
    store: S3Store
    engine: Engine


class _Unbounded(beam.PTransform):
    """Stands where a source does; the simulation reads for it."""

    def expand(self, begin: beam.pvalue.PBegin) -> PCollection[Any]:
        return PCollection(begin.pipeline, element_type=LineBatch, is_bounded=False)


@functools.cache
def built(config: Config) -> _Built:
    """Return the pipeline, and what its options let the engine do."""
    store = sim_store(None, checksums=True)
    windowing: WindowFn = FixedWindows(config.windows) if config.windows else GlobalWindows()
    write = WriteToS3Box(
        store,
        domain="web",
        namespace_field="n",
        limits=StreamLimits(max_records=config.max_records, max_seconds=_MAX_SECONDS),
        manifests=Manifests(per=config.per, count=config.count),  # type: ignore[arg-type]
        run_id="run",
        windowing=windowing,
        allowed_lateness=config.lateness,
        triggering_frequency=config.early,
        check_destination=False,
    )
    runner = {"flink": FlinkRunner, "prism": PrismRunner}.get(config.engine)
    pipeline = beam.Pipeline(runner=runner() if runner else _Other())
    pipeline | SOURCE >> _Unbounded() | "Write" >> write
    return _Built(Topology(stages_of(pipeline)), write, store, _engine(config.engine, pipeline))


class _Other(beam.runners.PipelineRunner):
    """Nothing that the package knows."""


def _engine(name: str, pipeline: beam.Pipeline) -> Engine:
    options = pipeline.options
    if name == "prism":
        splits = not options.view_as(DebugOptions).lookup_experiment("prism_disable_sdf_split")
        return Engine(name, splits=splits, is_local=True)
    if name == "flink":
        loses = not options.view_as(_FlinkOptions).finish_bundle_before_checkpointing
        return Engine(name, restarts=True, loses=loses)
    return Engine(name, retries=True)


class Schedule:
    """One stream in one world.

    Args:
      choices: decide.
      trouble: how likely faults are.
      config: of the pipeline; None for any.

    Attributes:
      world: of the schedule.
      job: that runs the pipeline.
      has_failed: whether the job gave up, as engines do that do nothing again.
    """

    def __init__(self, choices: Choices, trouble: float = 1.0, config: Config | None = None) -> None:
        self.world = world = World(choices, trouble)
        world.never("reply lost, lands later")  # a request of a dead worker that lands last: not covered
        self.config = config or CONFIGS[choices.below(len(CONFIGS))]
        self.built = built(self.config)
        if self.built.engine.is_local:
            # all workers are in one process: if it dies, the job does
            world.never("worker killed")
            world.never("worker asleep")
        self.server = SimS3(world, checks=not choices.happens(0.3))
        self.topic = Topic(world, self._records(choices))
        self.job: StreamJob
        self.has_failed = False

    def begin(self) -> None:
        """Connect the pipeline to this world; call it within `on_actors`."""
        for known in (run_notices._polled.cache_clear, signs_of_life._SHOWN.clear, *reading.FORGET):
            known()
        built = self.built
        vars(built.store).update(vars(sim_store(self.server, checksums=True)))
        notices = RunNotices(built.store, built.write.claim.layout)
        count = 1 + self.world.choices.below(2)
        readers = Readers(self.topic, notices, count, gathers=built.engine.is_local)
        self.job = StreamJob(self.world, built.topology, readers, built.engine, self._is_late, self._check_age)

    # ------------------------------------------------------------ what happens

    def go_on(self, seconds: float) -> None:
        """Let the stream go on."""
        until = self.world.now + seconds
        while self.world.now < until and not self.has_failed:
            self._step(until)

    def end(self, ending: str, seconds: float) -> None:
        """End the stream, and check that all is listed in time, and once everybody has woken.

        Args:
          ending: one of ENDINGS.
          seconds: for which faults go on.
        """
        if ending == "stop":
            self._ask_to_stop()
        self.job.is_draining = ending == "drain"
        if ending != "cancel":
            self._end(self.job.is_done if ending == "runs on" else self.job.has_ended, seconds)
        self.job.close()
        is_whole = ending != "cancel" and not self.has_failed
        # an outdated worker that is awake may have written, and not yet looked and removed it
        self.world.run_awake()
        self._check(is_whole=is_whole)
        self.world.run_all()
        self._check(is_whole=is_whole)

    def _end(self, is_over: Callable[[], bool], seconds: float) -> None:
        world = self.world
        calm = world.now + seconds
        patience = _CALM_SECONDS + _CALM_REQUESTS * 2 * world.pace
        while not is_over() and not self.has_failed:
            if world.now >= calm:
                world.trouble = 0.0
            latest = calm + patience
            assert world.now < latest, f"not all is listed {patience} seconds after the last fault"
            self._step(latest if world.now >= calm else calm)

    def _step(self, until: float) -> None:
        try:
            self.job.go_on(until)
        except JobFailedError:
            self.has_failed = True

    def _ask_to_stop(self) -> None:
        """Leave the mark that `s3box stop` leaves, from another machine, until it stands."""
        store, layout = self.built.store, self.built.write.claim.layout

        def ask() -> None:
            ask_to_stop(store, layout)
            run_notices._polled.cache_clear()

        while not self.has_failed:
            actor = self.world.spawn("stop", ask)
            while not actor.ended and not self.has_failed:
                self._step(self.world.now + 1.0)
            if actor.ended and actor.error is None:
                return

    # ------------------------------------------------------------ what holds

    def _check(self, *, is_whole: bool) -> None:
        """Check what is in the bucket.

        Args:
          is_whole: whether all that was read must be listed.
        """
        if self.server.uncovered:
            self.world.faults["a later life met the text that was changed: not covered"] += 1
            return
        found = oracle.read(self.server, bounded=False)
        oracle.check_once(found.listed, ())
        assert all(records <= self.config.max_records for records, _, _ in found.sizes)
        if not is_whole:
            return
        read = {record.id for record in self.job.accepted()}
        oracle.check_rows(self.server, read)
        if set(found.listed) - read:
            # the job went back, and was stopped before it had read these again
            self.world.faults["listed beyond the stop: not covered"] += 1
        good = {number for number in read if not _is_bad(number)}
        dropped = self._dropped()
        assert dropped <= self.job.kept.late, f"dropped though on time: {dropped - self.job.kept.late}"
        oracle.check_once(found.listed, good - dropped)
        assert read - good <= set(found.dead), f"no dead letter: {read - good - set(found.dead)}"

    def _check_age(self, before: KeyState, after: KeyState) -> None:
        """Check that what waits for more has a timer that ends the wait in time, and that nothing puts that off."""
        waited, waits = (state.values.get("segments", ()) for state in (before, after))
        if not waits:
            return
        due = after.timers.get("ts-age")
        assert due is not None, "records wait without a time limit"
        is_same = waited[:1] == waits[:1]
        latest = before.timers["ts-age"].at if is_same else int((self.world.now + _MAX_SECONDS) * 1_000_000)
        assert due.at <= latest, f"records wait {(due.at - latest) / 1_000_000} seconds longer than max_seconds"

    def _dropped(self) -> set[int]:
        files = [element.value[1] for element in self.job.kept.dropped]
        return {one for file in files for one in oracle.ids_of(self.server, file.url)}

    def _is_late(self, record: Record, watermark: int) -> bool:
        if not self.config.windows:
            return False
        end = (record.happened // _WINDOW_SECONDS + 1) * _WINDOW_SECONDS
        return int(end * 1_000_000) - 1 < watermark

    def _records(self, choices: Choices) -> list[Record]:
        comes = sorted(choices.below(_COMES_SECONDS) for _ in range(RECORDS))
        records = []
        for number, second in enumerate(comes):
            # some are late, a few by more than is allowed
            age = choices.below(4) if choices.below(8) else choices.below(90)
            part = str(choices.below(_PARTS))
            line = b'{"id":%d}' if _is_bad(number) else b'{"id":%d,"n":"' + b"ab"[number % 2 :][:1] + b'"}'
            records.append(Record(number, part, START + second, float(int(START) + second - age), line % number))
        return records


def stream(choices: Choices, trouble: float = 1.0) -> World:
    """Run one schedule; raises AssertionError if what must hold does not."""
    schedule = Schedule(choices, trouble)
    with on_actors(schedule.world):
        schedule.begin()
        ending = ENDINGS[choices.below(len(ENDINGS))]
        schedule.go_on(5.0 + choices.below(_COMES_SECONDS))
        schedule.end(ending, choices.below(60))
    return schedule.world


def _is_bad(number: int) -> bool:
    return number % 7 == 5
