"""Threads of our own: tasks end whatever they raise, and wherever no thread can be started; a fork has its own."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from beam_s3box.errors import S3BoxError
from beam_s3box.system.threads import Bell, Threads
from tests.sweeps import HUNG_SECONDS, Acts, Late, acts_at, hangs_are_found, raises_at

ROOT = Path(__file__).parents[2]


def refuse(*arguments: object) -> None:
    raise RuntimeError("can't start new thread")


def test_tasks_run_on_a_few_threads_and_keep_their_results() -> None:
    threads = Threads(3, "some")
    seen: set[str] = set()

    def square(number: int) -> int:
        seen.add(threading.current_thread().name)
        return number * number

    tasks = [threads.submit(square, number) for number in range(100)]
    assert [task.result() for task in tasks] == [number * number for number in range(100)]
    assert seen == {"some"}


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_an_error_of_its_task_and_ends_no_thread(error: type[BaseException]) -> None:
    threads = Threads(1, "one")

    def fail() -> None:
        raise error("out of user code")

    task = threads.submit(fail)
    with pytest.raises(S3BoxError, match=f"{error.__name__}.*out of user code"):
        task.result()
    assert threads.submit(int).result() == 0


def test_where_no_thread_can_be_started_the_caller_runs_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    threads = Threads(2, "none")
    tasks = [threads.submit(threading.get_ident) for _ in range(3)]
    assert {task.result() for task in tasks} == {threading.get_ident()}
    monkeypatch.undo()
    assert threads.submit(threading.get_ident).result() != threading.get_ident()


def test_where_only_some_threads_can_be_started_these_run_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(2, "one of two")
    assert threads.submit(int).result() == 0
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    tasks = [threads.submit(threading.get_ident) for _ in range(20)]
    assert threading.get_ident() not in {task.result() for task in tasks}


def test_threads_end_when_they_are_idle_and_start_again() -> None:
    threads = Threads(2, "idle threads", 0.01)
    assert threads.submit(int).result() == 0
    end = time.monotonic() + 60
    while any(thread.name == "idle threads" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert threads.submit(int).result() == 0


def test_a_task_that_was_cancelled_never_runs() -> None:
    threads, gate = Threads(1, "one"), threading.Lock()
    ran: list[int] = []
    with gate:
        first = threads.submit(gate.acquire)
        second = threads.submit(ran.append, 1)
        assert second.cancel()
        assert not second.cancel()
    assert first.result()
    with pytest.raises(S3BoxError, match="cancelled"):
        second.result()
    assert threads.submit(len, ran).result() == 0


def test_raised_at_every_line_of_submit_and_result(note: Callable[[str], None]) -> None:
    """Whatever a caller leaves behind, the next tasks run, and one that was queued is run once."""
    point, more = 0, True
    while more:
        point += 1
        threads = Threads(1, "swept", 0.01)
        ran: list[int] = []
        with hangs_are_found():
            with contextlib.suppress(Late):
                more = raises_at(point, lambda: threads.submit(ran.append, 1).result())  # noqa: B023 - called at once
            assert threads.submit(lambda: 5).result() == 5
        assert len(ran) <= 1
    note(f"raised at {point - 1} lines of submit and result")


def interrupted(threads: Threads, point: int) -> bool:
    """Submit on a thread of its own, and raise at that line; return whether it came so far."""
    came: list[bool] = []

    def submit() -> None:
        with contextlib.suppress(Late):
            came.append(raises_at(point, lambda: threads.submit(int)))

    submitter = threading.Thread(target=submit)
    submitter.start()
    submitter.join()
    return all(came)


def lines_of_submit() -> int:
    return next(point for point in range(1, 100) if not interrupted(Threads(1, "lines"), point)) - 1


def test_an_interrupted_call_stops_nobody_who_waits_wherever_he_is(note: Callable[[str], None]) -> None:
    """One call is interrupted before and one while another thread comes to each of its lines."""
    tried = 0
    for point in range(1, lines_of_submit() + 1):
        more, line = True, 0
        while more:
            line += 1
            tried += 1
            threads = Threads(1, "swept", 0.01)
            interrupted(threads, point)
            with hangs_are_found():
                more = acts_at(line, lambda: threads.submit(int).result(), lambda: interrupted(threads, point))  # noqa: B023 - called at once
    note(f"{tried} pairs of a line of a call and one at which another is interrupted")


@pytest.mark.parametrize("later", [1, 2, 3])
def test_a_thread_that_ends_leaves_no_task_whatever_is_interrupted_at_that_time(
    later: int, note: Callable[[str], None]
) -> None:
    """At each line of a thread that ends a task is put and waited for, and lines later another call is interrupted."""
    tried, lines = 0, lines_of_submit()
    for point in range(lines // 2, lines + 1):
        for line in itertools.count(1):
            threads = Threads(1, "ending", 0.001)
            waiter = threading.Thread(target=lambda: threads.submit(int).result(), daemon=True)  # noqa: B023
            acts: list[Callable[[], object]] = [lambda: interrupted(threads, point), lambda: waiter.join(0.003)]  # noqa: B023

            def act() -> None:
                if not waiter.ident:  # noqa: B023
                    waiter.start()  # noqa: B023
                    ending.left = later  # noqa: B023
                acts.pop()()  # noqa: B023

            ending = Acts(line, act)
            threading.settrace(ending)
            try:
                threads.submit(int).result()
                while any(thread.name == "ending" for thread in threading.enumerate()):
                    time.sleep(0.001)
            finally:
                threading.settrace(None)
            if acts:
                break
            tried += 1
            waiter.join(HUNG_SECONDS)
            assert not waiter.is_alive(), (point, line)
    note(f"{tried} pairs of a line of a thread that ends and one at which a call is interrupted")


def test_a_child_has_threads_of_its_own_and_never_waits_for_its_parents() -> None:
    threads, gate = Threads(1, "forked"), threading.Lock()
    with gate:
        busy = threads.submit(gate.acquire)
        queued = threads.submit(int)
        child = os.fork()
        if not child:
            code = 1
            try:
                with hangs_are_found():
                    assert threads.submit(lambda: 7).result() == 7
                    for task in (busy, queued):
                        with pytest.raises(S3BoxError, match="fork"):
                            task.result()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert queued.result() == 0


def test_a_bell_wakes_who_took_a_waiter_before() -> None:
    bell = Bell()
    waiters = [bell.waiter(), bell.waiter()]
    bell.ring()
    assert all(waiter.acquire(blocking=False) for waiter in waiters)
    assert not bell.waiter().acquire(blocking=False)


AT_EXIT = """
import atexit, threading, time
from beam_s3box.system.threads import Threads
threads = Threads(2, "late")
{used}
def work():
    print(sum(task.result() for task in [threads.submit(lambda: 1) for _ in range(10)]), flush=True)
{when}
"""


@pytest.mark.parametrize("used", ["", "threads.submit(int).result()"])
@pytest.mark.parametrize(
    "when",
    [
        "atexit.register(work)",
        "threading.Thread(target=lambda: (threading.main_thread().join(), time.sleep(0.1), work())).start()",
    ],
)
def test_tasks_run_when_the_main_thread_has_ended(used: str, when: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT.format(used=used, when=when)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "10\n", "")


def test_map_keeps_the_order_and_begins_nothing_more_after_an_error() -> None:
    threads = Threads(1, "one")
    assert list(threads.map(str, range(50))) == [str(number) for number in range(50)]
    begun, failed = [], threading.Event()

    def half(number: int) -> float:
        if number > 1:
            failed.wait(60)
        begun.append(number)
        return 1 / (1 - number)

    halves = threads.map(half, range(100))
    assert next(halves) == 1
    with pytest.raises(ZeroDivisionError):
        next(halves)
    failed.set()
    assert threads.submit(lambda: 1).result() == 1, "behind whatever was queued"
    assert begun in ([0, 1], [0, 1, 2]), "one may have begun before the error was seen"
