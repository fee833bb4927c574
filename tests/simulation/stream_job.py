"""An unbounded pipeline as engines run it: bundles of any keys and sizes, done again, twice, and after the fact.

What a bundle changes and emits counts when the runner commits it, all of it at once. When an engine restarts, workers of
before go on with what they have in hand.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.engine import run_notices, signs_of_life
from beam_s3box.transforms import runtime
from tests.simulation.bundles import Bundle, Execution
from tests.simulation.graph import Worker
from tests.simulation.kept import Kept, Topology
from tests.simulation.keyed import EMPTY, BundleState, KeyState
from tests.simulation.reading import ReaderBundle, Readers, Record
from tests.simulation.world import LOST_SECONDS, World

_BUNDLES: Final = 2
"""Of one stage, at the same time."""

_CHECKPOINT_SECONDS: Final = (8.0, 20.0, 60.0)
"""Between two checkpoints, in one world."""

_CHECKPOINTS: Final = 3
_BACKOFF_SECONDS: Final = 2.0
_RESTART_SECONDS: Final = 1.0
"""That an engine takes at least to begin again."""

_LOOK_SECONDS: Final = 5.0
"""After which a runner looks again what there is to do."""

_GLOBAL: Final = GlobalWindow()


class Engine(NamedTuple):
    """What an engine does when something fails.

    Attributes:
      name: of one that is like it.
      retries: whether it does a bundle again, and gives it to a second worker.
      restarts: whether it keeps checkpoints, and goes back to one of them.
      splits: whether it gives away keys of a bundle that pauses, and then puts their state back as it was.
      loses: whether a checkpoint loses what those bundles emit that run meanwhile.
      is_local: whether its workers are in its own process, and it keeps one watermark for all readers.
    """

    name: str
    retries: bool = False
    restarts: bool = False
    splits: bool = False
    loses: bool = False
    is_local: bool = False


class JobFailedError(Exception):
    """A bundle failed, and the engine neither does it again nor has a checkpoint."""


class StreamJob:
    """One job.

    Args:
      world: decides.
      topology: of the pipeline.
      readers: of its source.
      engine: what runs it.
      is_late: whether a record is late at a watermark.
      check_state: called with the state of a key before and after each bundle that counts.

    Attributes:
      kept: what is committed.
      is_draining: whether the sources are to stop where they are, and all that was read is to come to its end.
    """

    def __init__(
        self,
        world: World,
        topology: Topology,
        readers: Readers,
        engine: Engine,
        is_late: Callable[[Record, int], bool],
        check_state: Callable[[KeyState, KeyState], None],
    ) -> None:
        self._world = world
        self._topology = topology
        self._readers = readers
        self._engine = engine
        self._is_late = is_late
        self._check_state = check_state
        self._running: list[Bundle] = []
        self._workers: dict[int, list[tuple[Worker, BundleState]]] = collections.defaultdict(list)
        self._ready = [0.0] * len(topology.stages)
        self._resumes = 0.0
        self._killed = 0
        self._clock = world.spawn("clock", self._tick)
        self.kept = Kept.begin(topology, readers.first())
        self.is_draining = False
        self._checkpoints = [self.kept.copy()]
        self._checkpointed = world.now
        self._interval = _CHECKPOINT_SECONDS[world.choices.below(len(_CHECKPOINT_SECONDS))]

    def go_on(self, until: float) -> None:
        """Let something happen, until this time at most.

        Raises:
          JobFailedError: a bundle failed, and there is nothing left to do.
        """
        now = self._micros()
        self.kept.fire(self._world, now)
        self.kept.advance(self._world)
        self.kept.fire(self._world, now)
        if self._world.now >= self._resumes:
            self._begin()
            self._disturb()
        self._wait(until)
        self._settle()

    def is_done(self) -> bool:
        """Return whether the source has ended, or waits, and nothing is left to do."""
        at_work = any(bundle.reader is None for bundle in self._running)
        return not at_work and all(map(self._readers.is_at_end, self.kept.readers)) and self.kept.is_empty()

    def has_ended(self) -> bool:
        """Return whether the source has ended, and nothing is left to do."""
        return all(reader.work.is_done for reader in self.kept.readers) and not self._running and self.is_done()

    def accepted(self) -> list[Record]:
        """Return what the source has read for good."""
        return self._readers.read(self.kept.readers)

    def close(self) -> None:
        """Begin nothing more; what runs goes on."""
        self._clock.is_dead = True
        self._running = []

    # ------------------------------------------------------------ bundles begin

    def _begin(self) -> None:
        for number, stage in enumerate(self._topology.stages):
            if self._ready[number] > self._world.now:
                continue
            running = [bundle for bundle in self._running if bundle.stage == number]
            if stage.kind == "source":
                self._begin_readers(number, {bundle.reader for bundle in running})
            elif len(running) < _BUNDLES:
                self._begin_keyed(number, {key for bundle in running for key in bundle.keys})

    def _begin_readers(self, number: int, busy: set[int | None]) -> None:
        if self.is_draining and not busy:
            for reader, state in enumerate(self.kept.readers):
                self.kept.readers[reader] = state.ended()
            self.kept.source = MAX_TIMESTAMP.micros
        if self.is_draining:
            return
        for reader, state in enumerate(self.kept.readers):
            if reader not in busy and not state.work.is_done and state.resumes <= self._world.now:
                self._start(Bundle(number, {}, (), (), {}, reader))

    def _begin_keyed(self, number: int, busy: set[Any]) -> None:
        world, pending = self._world, self.kept.pending[number]
        due = self.kept.due(number, self._micros(), lambda: world.fails("timer early", 0.02))
        free = [key for key in {**pending, **due} if key not in busy]
        if not free:
            return
        if world.fails("bundle late", 0.1):
            self._ready[number] = world.now + 0.2 + world.choices.below(40) / 10
            return
        first = world.choices.below(len(free))
        free = [*free[first:], *free[:first]][: len(free) - world.choices.below(len(free))]
        taken: dict[Any, int] = {}
        elements: list[tuple[Any, WindowedValue]] = []
        timers: list[tuple[Any, str, int]] = []
        for key in free:
            waiting = pending.get(key, ())
            if waiting:
                taken[key] = len(waiting) - world.choices.below(len(waiting))
                elements += ((key, one) for one in waiting[: taken[key]])
            if key in due and not world.fails("timer late", 0.05):
                timers += ((key, name, at) for at, name in due[key])
        if taken or timers:
            keys = {*taken, *(key for key, _, _ in timers)}
            before = {key: self.kept.keyed[number].get(key, EMPTY) for key in free if key in keys}
            self._start(Bundle(number, taken, elements, timers, before))

    def _start(self, bundle: Bundle) -> None:
        """Let a worker run the bundle."""
        if bundle not in self._running:
            self._running.append(bundle)
        number = bundle.stage
        worker, state = self._workers[number].pop() if self._workers[number] else self._new_worker(number)
        reading = None if bundle.reader is None else self._readers.bundle(self.kept.readers[bundle.reader])
        elements = self._feed(bundle) if reading is None else reading.elements()
        state.begin(bundle.before)

        def began() -> None:
            # what sleeps before that begins when it wakes
            execution.has_begun = True
            execution.actor.can_freeze = not self._engine.is_local

        def run() -> dict[Any, list[WindowedValue]]:
            return worker.run(elements, self._timers(bundle, state), began)

        actor = self._world.spawn(f"stage {number}, {len(bundle.elements)} elements", run)
        execution = Execution(worker, state, reading, actor)
        bundle.executions.append(execution)

    def _new_worker(self, number: int) -> tuple[Worker, BundleState]:
        _begin_process()
        state = BundleState()
        return Worker(self._topology.stages[number], state), state

    def _feed(self, bundle: Bundle) -> Iterator[WindowedValue]:
        for key, element in bundle.elements:
            if key in bundle.given:
                continue
            bundle.begun.add(key)
            yield element
            if self._world.fails("bundle pauses", 0.02):
                self._world.sleep(0.5 + self._world.choices.below(40) / 10)

    def _timers(self, bundle: Bundle, state: BundleState) -> Iterator[Any]:
        specs = self._topology.timers[bundle.stage]
        for key, name, at in bundle.timers:
            if key in bundle.given or name not in state.of(key).timers:
                continue  # another timer of this bundle has cleared it
            bundle.begun.add(key)
            state.fire(key, name)
            yield specs[name], key, _GLOBAL, Timestamp(micros=at)

    # ------------------------------------------------------------ what may happen meanwhile

    def _disturb(self) -> None:
        world, engine = self._world, self._engine
        for bundle in [bundle for bundle in self._running if len(bundle.executions) == 1]:
            if engine.retries and world.fails("bundle given to a second worker", 0.01):
                self._start(bundle)
            elif engine.splits and bundle.reader is None and world.fails("bundle split", 0.1):
                bundle.given |= bundle.keys - bundle.begun
            elif bundle.reader is not None and world.fails("reader split", 0.02):
                for execution in bundle.executions:
                    execution.reading.view.split()  # type: ignore[union-attr]
        if engine.restarts:
            if world.now - self._checkpointed >= self._interval and not world.fails("checkpoint failed", 0.1):
                self.checkpoint()
            if world.fails("worker lost between bundles", 0.003):
                self._go_back()

    def checkpoint(self) -> None:
        """Keep what is committed."""
        self._checkpointed = self._world.now
        self._checkpoints = [*self._checkpoints, self.kept.copy()][-_CHECKPOINTS:]
        for bundle in self._running:
            bundle.emits = not self._engine.loses

    def _go_back(self) -> None:
        """Begin again at the last checkpoint, or at one before, as people do."""
        world = self._world
        if len(self._checkpoints) > 1 and world.fails("older checkpoint", 0.1):
            self._checkpoints.pop()
        world.faults["went back to a checkpoint"] += 1
        self.kept = self._checkpoints[-1].copy()
        for execution in (execution for bundle in self._running for execution in bundle.executions):
            # a worker that begins after others have done its work is what the protocol does not cover
            execution.actor.is_dead |= not execution.has_begun
        self._running = []
        self._workers.clear()
        self._resumes = self._checkpointed = world.now + _RESTART_SECONDS * (1 + world.choices.below(20))

    # ------------------------------------------------------------ bundles end

    def _tick(self) -> None:
        while True:
            self._world.sleep(3600.0)

    def _wait(self, until: float) -> None:
        now = self._world.now
        times = [until, now + _LOOK_SECONDS, *(ready for ready in self._ready if ready > now)]
        if self._resumes > now:
            times.append(self._resumes)
        times += (reader.resumes for reader in self.kept.readers if reader.resumes > now)
        timer = self.kept.next_time(self._micros())
        if timer is not None:
            times.append(timer / 1_000_000)
        at = self._clock.wake = max(now, min(times)) + 0.001
        running = [execution for bundle in self._running for execution in bundle.executions]
        self._world.run(lambda: self._world.now >= at or any(map(self._is_over, running)))

    def _is_over(self, execution: Execution) -> bool:
        """Return whether the runner hears no more of this execution."""
        actor = execution.actor
        return (
            actor.ended
            or actor.is_dead
            or (actor.was_frozen and actor.asleep_until >= self._world.now + LOST_SECONDS / 2)
        )

    def _settle(self) -> None:
        killed = self._world.faults["worker killed"]
        if killed > self._killed:
            # workers share the memory of this process: the locks of one that was killed would stay locked for ever, even if
            # the runner no longer waited for it, and nobody would look any more whether the run is asked to stop
            self._killed = killed
            _begin_process()
        for bundle in list(self._running):
            for execution in [one for one in bundle.executions if self._is_over(one)]:
                if bundle not in self._running:
                    break  # another worker was first, or the job went back
                if execution.actor.ended and execution.actor.error is None and not self._is_lost():
                    self._commit(bundle, execution)
                else:
                    self._fail(bundle, execution)

    def _is_lost(self) -> bool:
        return self._engine.retries and self._world.fails("commit lost", 0.01)

    def _commit(self, bundle: Bundle, execution: Execution) -> None:
        kept, now = self.kept, self._micros()
        self._running.remove(bundle)
        if execution.reading is not None and bundle.reader is not None:
            self._commit_reader(bundle.reader, execution.reading)
        for key, count in bundle.taken.items():
            if key not in bundle.given:
                kept.take(bundle.stage, key, count)
        for key, state in execution.state.changed.items():
            if key not in bundle.given:
                self._check_state(bundle.before.get(key, EMPTY), state)
        kept.keyed[bundle.stage].update(execution.state.changed)
        # what an engine does that splits a bundle with state
        kept.keyed[bundle.stage].update((key, bundle.before[key]) for key in bundle.given)
        if bundle.emits:
            for collection, elements in execution.actor.result.items():
                kept.route(collection, elements, now)
        self._workers[bundle.stage].append((execution.worker, execution.state))

    def _commit_reader(self, number: int, reading: ReaderBundle) -> None:
        kept = self.kept
        before, after = kept.readers[number], reading.after()
        new = self._readers.between(before, after)
        kept.late |= {record.id for record in new if self._is_late(record, kept.watermarks[0])}
        kept.readers[number] = after
        marks = [reader.mark for reader in kept.readers]
        kept.source = after.mark if self._engine.is_local and not after.work.is_done else min(marks)

    def _fail(self, bundle: Bundle, execution: Execution) -> None:
        _begin_process()
        bundle.executions.remove(execution)
        self._ready[bundle.stage] = self._world.now + _BACKOFF_SECONDS
        if bundle.executions:
            return
        self._running.remove(bundle)
        if self._engine.restarts:
            self._go_back()
        elif not self._engine.retries:
            raise JobFailedError(f"stage {bundle.stage}: {execution.actor.error!r}")

    def _micros(self) -> int:
        return int(self._world.now * 1_000_000)


def _begin_process() -> None:
    """Forget what a process knows: that it has claimed the run id, given a sign of life, and looked whether to stop."""
    runtime._CLAIMED.clear()
    runtime._FINISHED.clear()
    signs_of_life._SHOWN.clear()
    run_notices._polled.cache_clear()
