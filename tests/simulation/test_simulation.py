"""A couple of thousand schedules of a world that breaks on purpose, the same ones each time."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

from beam_s3box.engine import run_notices
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_notices import RunNotices, ask_to_stop
from beam_s3box.errors import OutdatedWorkError
from beam_s3box.system.outside import Outside
from beam_s3box.system.threads import Threads
from tests.simulation.schedules import explained, failure, run
from tests.simulation.shrink import shortest
from tests.simulation.stream import CONFIGS, Schedule
from tests.simulation.stream_job import StreamJob
from tests.simulation.threads import on_actors
from tests.simulation.world import START, Choices, HangsError, World

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "beam_s3box"
OUTSIDE = {
    "time": {"time", "monotonic", "sleep", "perf_counter"},
    "random": None,
    "uuid": {"uuid4", "uuid1"},
    "secrets": None,
}
"""What a simulated room does not ask for itself; None: anything of that module."""


@pytest.mark.parametrize(
    ("kind", "seeds"), [("commit", range(1_700)), ("backfill", range(200)), ("stream", range(200))]
)
def test_whatever_breaks_each_record_is_listed_once(kind: str, seeds: range) -> None:
    tally = run(kind, seeds)
    if tally.failures:
        pytest.fail("\n".join(explained(kind, seed) for seed in tally.failures))
    assert tally.schedules == len(seeds)
    assert min(tally.faults[name] for name in ("worker asleep", "worker killed", "reply lost", "409")) > 50


@pytest.mark.parametrize(
    ("kind", "seeds", "faults"),
    [
        ("streamer", range(250), ("EIO", "ENOSPC", "EMFILE", "short write", "signal", "power cut", "worker killed")),
        ("redshift", range(600), ("connection cut at COMMIT", "lock timeout", "statement aborted", "worker killed")),
        ("spark", range(100), ("executor lost", "worker asleep", "worker killed", "reply lost")),
    ],
)
def test_whatever_breaks_each_record_is_there_once(kind: str, seeds: range, faults: tuple[str, ...]) -> None:
    tally = run(kind, seeds)
    if tally.failures:
        pytest.fail("\n".join(explained(kind, seed) for seed in tally.failures))
    assert tally.schedules == len(seeds)
    assert min(tally.faults[name] for name in faults) > 50


def test_the_streamer_reaches_its_disk_through_os_alone() -> None:
    """What it did through methods of paths would reach the real disk in a simulation, and no fault would come there."""
    methods = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "mkdir", "touch", "exists", "is_symlink"}
    found = [
        f"{path.name}:{node.lineno} {ast.unparse(node)}"
        for path in sorted((PACKAGE / "streamer").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and _is_of_a_path(node.func, methods)
    ]
    assert found == []


def _is_of_a_path(called: ast.expr, methods: set[str]) -> bool:
    if isinstance(called, ast.Name):
        return called.id == "open"
    return isinstance(called, ast.Attribute) and called.attr in methods and "path" in ast.unparse(called.value).lower()


def test_without_faults_nothing_is_done_twice() -> None:
    world = World(Choices(given=[]), trouble=0.0)
    assert not world.fails("reply lost", 1.0)
    assert failure("commit", Choices(given=[])) is None
    assert failure("backfill", Choices(given=[])) is None
    assert failure("spark", Choices(given=[])) is None
    assert failure("stream", Choices(given=[])) is None
    assert failure("streamer", Choices(given=[])) is None
    assert failure("redshift", Choices(given=[])) is None


def test_a_seed_is_a_schedule() -> None:
    first, again, other = Choices(7), Choices(7), Choices(8)
    for choices in (first, again, other):
        failure("commit", choices)
    assert first.made == again.made != other.made


def test_whoever_a_schedule_leaves_waiting_does_not_wait_in_this_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """As workers that were killed in an upload of parts, which is aborted as their world ends."""
    slept: list[float] = []
    monkeypatch.setattr(Outside, "sleep", lambda _, seconds: slept.append(seconds))
    run("stream", [500_000, 500_011])
    run("backfill", [500_020])
    assert slept == []


def test_a_worker_that_is_killed_takes_its_locks_with_it_though_the_runner_does_not_wait_for_it() -> None:
    """As one whose bundle another worker has ended before: those that go on look for the mark that asks to stop."""
    schedule = Schedule(Choices(given=[]), trouble=0.0, config=CONFIGS[3])
    world, store, layout = schedule.world, schedule.built.store, schedule.built.write.claim.layout
    with on_actors(world):
        schedule.begin()
        schedule.go_on(30.0)  # a worker that is new would begin another process
        ask_to_stop(store, layout)
        run_notices._polled.cache_clear()  # it was asked on another machine
        worker = world.spawn("worker", RunNotices(store, layout).is_stop_asked)
        worker.can_freeze = True
        world.next("worker killed")
        schedule.go_on(30.0)
        assert worker.is_dead
        assert schedule.job.has_ended()


def slow(seed: int) -> Schedule:
    """Return a stream whose manifests are one chain, in a world where each request takes two seconds and nothing fails."""
    schedule = Schedule(Choices(seed), trouble=0.0, config=CONFIGS[1])
    schedule.world.pace = 1.0
    return schedule


def test_where_requests_are_slow_a_chain_that_is_written_again_has_the_time_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One worker is lost, and those of before hold up those of after: more than 300 seconds, though nothing hangs."""
    monkeypatch.setattr(StreamJob, "checkpoint", lambda _: None)  # so that it goes back to its beginning
    schedule = slow(8)
    world = schedule.world
    with on_actors(world):
        schedule.begin()
        schedule.go_on(90.0)
        world.next("worker lost between bundles")
        schedule.go_on(1.0)
        lost = world.now
        schedule.end("runs on", 0)
    assert world.faults["went back to a checkpoint"] > 1
    assert world.now > lost + 300.0


def test_where_requests_are_slow_work_that_fails_for_ever_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OutdatedWorkError("may be outdated")

    monkeypatch.setattr(Publisher, "write_firing", fail)
    schedule = slow(8)
    with on_actors(schedule.world):
        schedule.begin()
        with pytest.raises(AssertionError, match=r"not all is listed 600\.0 seconds"):
            schedule.end("runs on", 0)


def test_a_world_that_stands_still_is_noticed() -> None:
    world = World(Choices(given=[]))
    with pytest.raises(HangsError):
        world.run(lambda: False)


def test_a_long_wait_for_a_thread_takes_few_steps() -> None:
    """Such as one before a retry: a schedule with many of them goes on, though it takes long."""
    world = World(Choices(given=[]), trouble=0.0)
    with on_actors(world):
        waiter = world.spawn("waiter", lambda: Threads(1, "upload").submit(world.sleep, 1_000.0).result())
        world.run(lambda: waiter.ended)
    assert waiter.error is None
    assert world.now >= START + 1_000.0
    assert world.steps < 10


def test_a_thread_that_retries_for_ever_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.world._MAX_STEPS", 1_000)
    world = World(Choices(given=[]), trouble=0.0)

    def retry() -> None:
        while True:
            world.sleep(30.0)

    with on_actors(world):
        waiter = world.spawn("waiter", lambda: Threads(1, "upload").submit(retry).result())
        with pytest.raises(HangsError, match="no end"):
            world.run(lambda: waiter.ended)


def test_a_failure_is_shown_by_few_choices() -> None:
    made = [0, 3, 0, 0, 9, 1, 0, 4, 0, 0]
    assert shortest(made, lambda given: 9 in given and 4 in given[given.index(9) :]) == [9, 4]


ROOMS = ["engine/**/*", "stores/**/*", "shards/**/*", "transforms/**/*", "sources/*", "streamer/**/*", "box/**/*"]


@pytest.mark.parametrize("files", [*ROOMS, "redshift/**/*"])
def test_time_and_chance_come_from_one_place(files: str) -> None:
    assert [found for path in sorted(PACKAGE.glob(f"{files}.py")) for found in asked_for(path)] == []


def asked_for(path: pathlib.Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in OUTSIDE:
            names = OUTSIDE[node.value.id]
            if names is None or node.attr in names:
                yield f"{path.name}:{node.lineno} {node.value.id}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module in OUTSIDE:
            yield f"{path.name}:{node.lineno} from {node.module}"
