"""An exception at every line, as a signal handler raises it; a fork in every function; and a kill at every call.

Nothing acknowledged is lost, nothing comes twice, and nothing hangs.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import beam_s3box.streamer
from beam_s3box.errors import S3BoxError, StreamerClosedError
from beam_s3box.streamer import JsonBufferStreamer
from tests.streamer.life import SECONDS, Ledger, within_seconds

OURS = str(pathlib.Path(beam_s3box.streamer.__file__).parent)
DURABILITIES = ["os", "memory", "fsync"]


class Interrupted(BaseException):
    """What a signal handler raises; not an Exception, just as KeyboardInterrupt."""


class Lines:
    """Traces the lines of the streamer in this thread, and does something at the n-th."""

    def __init__(self, at: int, act: Callable[[], None], *, by_function: bool = False) -> None:
        self.at = at
        self.by_function = by_function
        self.act = act
        self.seen: list[str] = []
        self.where = ""

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            line = frame.f_code.co_firstlineno if self.by_function else frame.f_lineno
            self.seen.append(f"{pathlib.Path(frame.f_code.co_filename).name}:{line}")
            if len(self.seen) == self.at:
                self.where = self.seen[-1]
                self.act()
        return self.trace

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)

    def moments(self, times_each: int) -> list[int]:
        """Return when each line came for the first so many times."""
        times: dict[str, list[int]] = {}
        for number, where in enumerate(self.seen, 1):
            times.setdefault(where, []).append(number)
        return sorted(number for numbers in times.values() for number in numbers[:times_each])


def interrupt() -> None:
    raise Interrupted


def steps(streamer: JsonBufferStreamer, ledger: Ledger) -> dict[str, Callable[[], Any]]:
    """The calls that a signal may interrupt; each is repeated until it succeeds, as after ^C."""
    return {
        "open": lambda: ledger.open(streamer),
        "append": lambda: ledger.append(streamer, 5),
        "flush": lambda: streamer.flush(SECONDS),
        "append again": lambda: ledger.append(streamer, 3),
        "close": lambda: streamer.close("web", "a", SECONDS),
        "scheduled": streamer.run_scheduled,
        "manifests": streamer.write_manifests,
        "shut down": lambda: streamer.shut_down(SECONDS),
    }


def go_through(call: Callable[[], Any]) -> None:
    try:
        call()
    except Interrupted:
        with contextlib.suppress(S3BoxError):
            call()


def interrupted_life(folder: pathlib.Path, durability: str, at: int) -> Lines:
    """Live once with an exception at this moment."""
    ledger = Ledger(folder, durability)
    lines = Lines(at, interrupt)
    try:
        with lines.watching():
            try:
                streamer = ledger.make()
            except Interrupted:
                streamer = ledger.make()
            for call in steps(streamer, ledger).values():
                go_through(call)
        assert streamer.shut_down(SECONDS) == (), "stuck"
        ledger.finish()
        ledger.check(unacknowledged=1)
        assert max(ledger.uploader.uploads.values()) == 1, "uploaded twice"
    except BaseException as exc:
        raise AssertionError(f"line event {at}, {lines.where}: {type(exc).__name__}: {exc}") from exc
    return lines


@pytest.mark.parametrize("durability", DURABILITIES)
def test_an_exception_at_every_line(
    tmp_path: pathlib.Path, no_sync: None, capsys: pytest.CaptureFixture[str], durability: str
) -> None:
    with within_seconds():
        moments = interrupted_life(tmp_path / "buffers", durability, 0).moments(2 if durability == "os" else 1)
        lives = [interrupted_life(tmp_path / f"buffers{moment}", durability, moment) for moment in moments]
    places = {life.where for life in lives}
    assert len(places) > 250
    with capsys.disabled():
        print(
            f"\nan exception at {len(lives)} moments, in {len(places)} lines, {durability=}: 0 lost, 0 duplicated, 0 hung"
        )


def test_a_signal_at_any_moment(
    tmp_path: pathlib.Path, no_sync: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with real signals, which also arrive within the standard library; a life takes some milliseconds."""
    # within the callback of a weak reference Python itself drops what a handler raises
    monkeypatch.setattr(sys, "unraisablehook", lambda arguments: None)
    numbers = random.Random(11)
    interrupted, before = 0, signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, lambda *_: interrupt())
    try:
        with within_seconds():
            for number in range(150):
                ledger = Ledger(tmp_path / f"buffers{number}", DURABILITIES[number % 3])
                streamer = ledger.make()
                interrupted += live_with_timer(streamer, ledger, numbers.uniform(0.0001, 0.02))
                assert streamer.shut_down(SECONDS) == (), "stuck"
                ledger.finish()
                ledger.check(unacknowledged=1)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted
    with capsys.disabled():
        print(f"\na signal at {interrupted} moments: 0 lost, 0 duplicated, 0 hung")


def live_with_timer(streamer: JsonBufferStreamer, ledger: Ledger, seconds: float) -> int:
    """Return how often the timer interrupted the calls: once or never."""
    interrupted = 0
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            for call in steps(streamer, ledger).values():
                call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupted:
        interrupted = 1
    with contextlib.suppress(S3BoxError):
        ledger.open(streamer)
        ledger.append(streamer, 3)
    return interrupted


class Forks:
    """Forks, and lets the child use what it must not: it exits with 0 if each call raises."""

    def __init__(self, streamer: JsonBufferStreamer) -> None:
        self.streamer = streamer
        self.status: int | None = None

    def fork(self) -> None:
        child = os.fork()
        if child:
            self.status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            return
        sys.settrace(None)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        status = 1
        try:
            status = self.use()
        finally:
            os._exit(status)

    def use(self) -> int:
        streamer = self.streamer
        calls: list[Callable[[], Any]] = [
            lambda: streamer.open("web", "c"),
            lambda: streamer.append("web", "a", {"i": -1}),
            lambda: streamer.append("web", "none", {"i": -1}),
            lambda: streamer.flush(1),
            lambda: streamer.close("web", "a", 1),
            lambda: streamer.write_manifests(),
            lambda: streamer.run_scheduled(),
            lambda: streamer.shut_down(1),
        ]
        refused = 0
        for call in calls:
            try:
                call()
            except StreamerClosedError:
                refused += 1
        streamer.stats  # noqa: B018 - it must not wait
        return len(calls) - refused


def forked_life(folder: pathlib.Path, at: int) -> Lines:
    ledger = Ledger(folder)
    streamer = ledger.make()
    forks = Forks(streamer)
    lines = Lines(at, forks.fork, by_function=True)
    with lines.watching():
        for call in steps(streamer, ledger).values():
            call()
    assert forks.status in (0, None), f"line event {at}, {lines.where}: the child ended with {forks.status}"
    ledger.finish()
    ledger.check(unacknowledged=0)
    return lines


def test_a_fork_in_every_function(tmp_path: pathlib.Path, no_sync: None, capsys: pytest.CaptureFixture[str]) -> None:
    with within_seconds():
        moments = forked_life(tmp_path / "buffers", 0).moments(1)
        lives = [forked_life(tmp_path / f"buffers{moment}", moment) for moment in moments]
    assert len({life.where for life in lives}) > 60
    with capsys.disabled():
        print(f"\na fork at {len(lives)} moments: 0 lost, 0 duplicated, 0 hung, each call refused")


_OPERATIONS = {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.scandir"}


def killed_life(ledger: Ledger, at: int, results: int) -> None:
    """Live in the child, and kill itself before this call; write each acknowledged record to the parent."""
    calls = 0

    def is_next() -> bool:
        nonlocal calls
        calls += 1
        return calls == at + 1

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _OPERATIONS and str(ledger.folder) in str(arguments[0]) and is_next():
            os.kill(os.getpid(), signal.SIGKILL)

    real = os.write

    def write(handle: int, data: bytes) -> int:
        if handle != results and is_next():
            real(handle, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(handle, data)

    sys.addaudithook(watch)
    os.write = write  # type: ignore[assignment]
    streamer = ledger.make()
    ledger.open(streamer)
    for _ in range(9):
        ledger.append(streamer)
        real(results, b"%d\n" % ledger.acknowledged[-1])
    streamer.flush(SECONDS)
    streamer.write_manifests()
    streamer.shut_down(SECONDS)


def kill_one(ledger: Ledger, at: int) -> bool:
    """Return whether the child reached this call."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            killed_life(ledger, at, writer)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as lines:
        ledger.acknowledged += [int(line) for line in lines if line.endswith(b"\n")]
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_kill_at_every_call(tmp_path: pathlib.Path, no_sync: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The objects are in a local folder, which survives the process."""
    tried, alive = 0, True
    with within_seconds():
        while alive:
            ledger = Ledger(tmp_path / f"buffers{tried}", store=tmp_path / f"objects{tried}")
            alive = kill_one(ledger, tried)
            ledger.finish()
            ledger.check(unacknowledged=1)
            tried += 1
    assert tried > 50
    with capsys.disabled():
        print(f"\na kill at {tried} calls: 0 lost, 0 duplicated, 0 stuck")
