"""Whole schedules: a run in a world, from its first bundle until everybody has woken, and what must hold then."""

from __future__ import annotations

import dataclasses
import functools
from typing import Final

import apache_beam as beam

from beam_s3box import Manifests, StreamLimits, WriteToS3Box
from beam_s3box.errors import IncompleteRunError, RunExistsError, S3BoxError
from beam_s3box.stores.s3 import S3Store
from beam_s3box.transforms.tuning import Tuning
from tests.simulation import oracle
from tests.simulation.batch import BatchJob, JobFailedError
from tests.simulation.graph import SOURCE, Stage, stages_of, windowed
from tests.simulation.s3 import SimS3, sim_store
from tests.simulation.spark import SparkJob
from tests.simulation.threads import on_actors
from tests.simulation.world import Choices, World

RECORDS: Final = 18
_LAUNCHES: Final = 3
"""How often a job that failed is launched again."""


@dataclasses.dataclass(frozen=True)
class Config:
    """A pipeline that is built once and run in many worlds."""

    per: str
    count: int
    max_records: int


CONFIGS: Final = [Config("stream", 1, 3), Config("stream", 2, 4), Config("run", 1, 3), Config("run", 3, 5)]
_LOST: Final = b'{"id":%d}'
"""A record without a stream."""


@dataclasses.dataclass
class _Built:
    stages: list[Stage]
    write: WriteToS3Box
    store: S3Store


@functools.cache
def built(config: Config, launch: int, runner: str | None) -> _Built:
    """Return the pipeline of one launch: each has another attempt."""
    store = sim_store(None, checksums=True)
    write = WriteToS3Box(
        store,
        domain="web",
        namespace_field="n",
        limits=StreamLimits(max_records=config.max_records),
        manifests=Manifests(per=config.per, count=config.count),  # type: ignore[arg-type]
        run_id="run",
        check_destination=False,
        tuning=Tuning(partial_shards="shuffle", packing="group"),
    )
    pipeline = beam.Pipeline(runner=runner)
    pipeline | SOURCE >> beam.Create([b""]).with_output_types(bytes) | "Write" >> write
    return _Built(stages_of(pipeline), write, store)


def on_spark(choices: Choices) -> World:
    """Run one schedule of a backfill on Spark; raises AssertionError if what must hold does not."""
    return bounded(choices, 0.2, SparkJob, "SparkRunner")


def bounded(
    choices: Choices,
    trouble: float = 1.0,
    engine: type[BatchJob] = BatchJob,
    runner: str | None = None,
) -> World:
    """Run one schedule of a backfill; raises AssertionError if what must hold does not."""
    world = World(choices, trouble)
    config = CONFIGS[choices.below(len(CONFIGS))]
    server = SimS3(world, checks=not choices.happens(0.3))
    lines = [_line(number, choices) for number in range(RECORDS)]
    source = [windowed(line) for line in lines]
    finishers: set[str | None] = set()
    with on_actors(world):
        for launch in range(_LAUNCHES + 1):
            if launch == _LAUNCHES:
                world.trouble = 0.0  # it must succeed when the faults stop
            pipeline = built(config, launch, runner)
            _connect(pipeline.store, server, checksums=True)
            try:
                engine(world, pipeline.stages, source).run()
            except JobFailedError as exc:
                if isinstance(exc.__cause__, IncompleteRunError):
                    raise AssertionError(f"two executions were combined: {exc}") from exc
                if launch == _LAUNCHES:
                    if not _is_refused(exc, server, pipeline):
                        raise AssertionError(f"the run fails without faults: {exc}") from exc
                    world.faults["begun again though it had finished"] += 1
                finishers.add(_finisher(server))
                if choices.happens(0.5):
                    _say_failed(world, pipeline, exc)
            else:
                finishers.add(pipeline.write.claim.attempt)
                break
        check_bounded(server)
        world.run_all()
        check_bounded(server)
        # whoever has finished the run first keeps it, whatever is launched later
        assert finishers - {None} <= {_finisher(server)}, f"finished by several: {finishers}"
    return world


def check_bounded(server: SimS3) -> None:
    found = oracle.read(server, bounded=True)
    good = {number for number in range(RECORDS) if number % 7 != 5}
    oracle.check_once(found.listed, good)
    assert set(found.listed) == good
    assert set(found.dead) == set(range(RECORDS)) - set(good)


def _line(number: int, choices: Choices) -> bytes:
    if number % 7 == 5:
        return _LOST % number
    return b'{"id":%d,"n":"%s","x":"%s"}' % (number, b"ab"[number % 2 : number % 2 + 1], b"x" * (number * 37 % 90))


def _is_refused(error: JobFailedError, server: SimS3, built: _Built) -> bool:
    """Return whether a launch fails because an earlier one has finished the run.

    That job was reported as failed all the same: the answer that its end was written came too late, or never. A later
    launch is another execution, whose records would be listed a second time; nothing shows that they are the same. So
    it must be refused, and the run that finished must list all: `check_bounded` looks.
    """
    finisher = _finisher(server)
    return isinstance(error.__cause__, RunExistsError) and finisher not in (None, built.write.claim.attempt)


def _finisher(server: SimS3) -> str | None:
    """Return the attempt that has finished the run; None if none has."""
    record = oracle.record_of(server)
    return record["attempt"] if record is not None and record["state"] == "finished" else None


def _say_failed(world: World, built: _Built, error: Exception) -> None:
    """Let the launcher write that the run failed."""
    actor = world.spawn("launcher", lambda: built.write.claim.fail_by(built.store, S3BoxError(str(error))))
    world.run(lambda: actor.ended)


def _connect(store: S3Store, server: SimS3, *, checksums: bool) -> None:
    vars(store).update(vars(sim_store(server, checksums=checksums)))
