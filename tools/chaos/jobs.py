"""Bounded and unbounded jobs on engines: processes of the engine die and stand still in their midst."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.checker.verification import Rules
from tests.runners import feed, paced
from tests.runners.feed import Feed, Submitted
from tests.runners.paced import Paced
from tests.runners.test_streams import s3_arguments
from tools.chaos.attempts import Attempts, Command
from tools.chaos.counting import Counted, count_run
from tools.chaos.engines import Flink, stopped
from tools.chaos.faults import MAX_PAUSE_SECONDS, inflict
from tools.chaos.victims import Victim
from tools.chaos.world import Round, World, random_gate
from tools.flink.rest import ENDED, FlinkRest

PATIENCE_SECONDS = 300.0
BACKFILL = Paced(600, 0.03, 3, 0.3)
BACKFILL_SECONDS = 25.0
BACKFILL_REQUESTS = 140
FEED_SECONDS = 30
CHECKPOINT_SECONDS = 3.0
JOB_SERVER_SECONDS = 60
"""So long a pipeline waits for a job server that was killed; Beam's default is five minutes."""


class Lazy:
    """An engine that is started when it is asked for the first time.

    Args:
      start: starts it.
    """

    def __init__(self, start: Callable[[World], Any]) -> None:
        self._start = start
        self.running: Any = None

    def __call__(self, world: World) -> Any:
        """Return the engine, started if it is not."""
        if self.running is None:
            self.running = self._start(world)
        return self.running


class BackfillOn:
    """A backfill that takes its time: each record is listed once, however often work was done again."""

    def __init__(self, name: str, engine: Lazy) -> None:
        self.name = name
        self._engine = engine

    def play(self, round: Round) -> Counted:
        engine = self._engine(round.world)
        source = round.folder / "lines.jsonl"
        source.write_text("".join(json.dumps(paced.record(number)) + "\n" for number in range(BACKFILL.records)))
        arguments = [*engine.options(), *s3_arguments(round.world.server), f"--job_name={round.name}"]
        gate = None
        submitted = paced.submit(BACKFILL, round.url, arguments, round.log)
        try:
            for _ in range(round.random.randint(1, 3)):
                gate = random_gate(round.random, round.random.randrange(BACKFILL_REQUESTS))
                round.world.proxy.rule = gate
                wait_for(gate.reached, submitted, round.random.uniform(1, BACKFILL_SECONDS))
                if submitted.process.poll() is not None:
                    break
                harm(engine, round, submitted)
                gate.opened.set()
            end(round, submitted)
        finally:
            if gate:
                gate.opened.set()
            submitted.kill()
            engine.revive()
        return count_run(round.world.place(round.url), source, Rules("i", ("d", "n")))


class StreamOn:
    """A stream of numbered records, some late: each is listed once in the end, in its own window."""

    def __init__(self, name: str, engine: Lazy) -> None:
        self.name = name
        self._engine = engine

    def play(self, round: Round) -> Counted:
        engine = self._engine(round.world)
        never = threading.Event()
        options = engine.options(streaming=True, checkpoint_seconds=CHECKPOINT_SECONDS)
        arguments = [*options, *s3_arguments(round.world.server), f"--job_name={round.name}"]
        round.world.proxy.rule = lambda request: None
        submitted = feed.submit(Feed(FEED_SECONDS), round.url, arguments, round.log.with_suffix(".jsonl"))
        source = round.folder / "lines.jsonl"
        try:
            fed = feed.begun(Feed(FEED_SECONDS), submitted)
            source.write_text("".join(json.dumps(record) + "\n" for record in fed.records()))
            wait_for(never, submitted, fed.start - time.time())
            for _ in range(round.random.randint(1, 3)):
                wait_for(never, submitted, round.random.uniform(1, FEED_SECONDS / 3))
                if submitted.process.poll() is None:
                    harm(engine, round, submitted)
            wait_for(never, submitted, fed.end + 2 - time.time())
            if isinstance(engine, Flink):
                drain(engine.cluster.rest, round.name)
            end(round, submitted)
        finally:
            submitted.kill()
            engine.revive()
        return count_run(round.world.place(round.url), source, Rules("i", ("n",), "t"))


class AttemptsOn(Attempts):
    """A program whose pipeline runs on an engine, and which is begun again until it succeeds."""

    def __init__(self, name: str, records: int, command: Command, kinds: tuple[str, ...], engine: Lazy) -> None:
        super().__init__(name, records, self._on_engine, kinds)
        self._inner, self._engine = command, engine

    def play(self, round: Round) -> Counted:
        try:
            return super().play(round)
        finally:
            if self._engine.running is not None:
                self._engine.running.revive()

    def prepare(self, round: Round, source: Path) -> None:
        self._engine(round.world)

    def harm(self, kind: str, round: Round, victim: Victim) -> None:
        if kind.startswith(("Prism", "JobManager")):
            self._engine.running.harm(kind, round)
        else:
            inflict(kind, round, victim)

    def _on_engine(self, destination: str, source: Path) -> list[str]:
        options = [*self._engine.running.options(), f"--job_server_timeout={JOB_SERVER_SECONDS}"]
        return [*self._inner(destination, source), *options]


def harm(engine: Any, round: Round, submitted: Submitted) -> None:
    """Do something to the engine, or let the program that submitted the job stand still."""
    kind = round.random.choice([*engine.kinds, "launcher stop"])
    if kind != "launcher stop":
        engine.harm(kind, round)
        return
    round.faults[kind] += 1
    with stopped([submitted.process.pid]):
        time.sleep(round.random.uniform(0.05, 4 * MAX_PAUSE_SECONDS))


def end(round: Round, submitted: Submitted) -> None:
    """Wait until a job has succeeded; what else it does is a problem."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (code := submitted.process.poll()) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    if code is None:
        round.hung += 1
        round.blame("the job hangs")
    elif code:
        round.blame(f"the job ended with {code}")


def wait_for(event: threading.Event, submitted: Submitted, seconds: float) -> None:
    """Wait for an event, or until so many seconds are over, or the job."""
    deadline = time.monotonic() + seconds
    while not event.wait(0.05) and submitted.process.poll() is None and time.monotonic() < deadline:
        pass


def drain(rest: FlinkRest, name: str) -> None:
    """Bring a stream on Flink whose source is at its end to an end: again, while the job is being restored.

    Raises:
      RuntimeError: it did not end in time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        # after a pause of the JobManager its list of jobs may lack one for a moment
        with contextlib.suppress(LookupError):
            job = rest.job_named(name)
            if job.state in ENDED:
                return
            if rest.is_running(job.id):
                drain_once(rest, job.id, deadline)
        time.sleep(0.5)
    raise RuntimeError(f"Flink did not drain {name}: its jobs are {rest.jobs()}")


def drain_once(rest: FlinkRest, job_id: str, deadline: float) -> None:
    """Begin to drain a job, and wait until it ends, that fails, or the time is over."""
    try:
        request = rest.drain(job_id)
    except urllib.error.HTTPError:
        # it was restarted between two looks
        return
    while rest.state(job_id) not in ENDED and rest.drain_failure(job_id, request) is None:
        if time.monotonic() > deadline:
            return
        time.sleep(0.5)
