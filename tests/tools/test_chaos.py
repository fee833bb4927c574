"""Chaos in small: a round of a real process, and that what is lost, duplicated, hung or missing is said and counted."""

from __future__ import annotations

import collections
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tests.s3_proxy import Answer, Request
from tools.chaos.__main__ import run
from tools.chaos.attempts import Attempts
from tools.chaos.clocks import JumpingClock
from tools.chaos.counting import Counted, count_acknowledged, count_whole_runs
from tools.chaos.scenarios import pack, scenarios
from tools.chaos.table import Tally, table_of
from tools.chaos.victims import Victim
from tools.chaos.world import Gate, Round
from tools.processes import MissingToolError

ROOT = pathlib.Path(__file__).parents[2]
RECORDS = 500


class Pack(Attempts):
    """`pack` to a folder, whose source is changed before it is compared."""

    def __init__(self, *added: str, removed: int = 0) -> None:
        super().__init__("pack-to-folder", RECORDS, pack, ("stop",), folder=True)
        self._added, self._removed = added, removed

    def count(self, round: Round, source: pathlib.Path) -> Counted:
        lines = source.read_text().splitlines()[self._removed :]
        source.write_text("".join(f"{line}\n" for line in (*lines, *self._added)))
        return super().count(round, source)


class Says:
    """A scenario that counts nothing, and says something."""

    name = "says"

    def __init__(self, error: Exception | None = None, hung: int = 0) -> None:
        self._error, self._hung = error, hung

    def play(self, round: Round) -> Counted:
        if self._error:
            raise self._error
        round.hung += self._hung
        return Counted(1, 1, 0, 0, 0, [])


def figures_of(table: str, name: str) -> list[str]:
    """Return the figures of a scenario in the last table."""
    rows = [line.split() for line in table.splitlines() if line.startswith(f"{name} ")]
    return rows[-1][1:]


def test_a_round_from_the_command_line() -> None:
    command = [sys.executable, "-m", "tools.chaos", "pack", "--minutes=0", "--seed=3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 3\n")
    # killed at its first request, and begun again; a folder takes no requests
    assert figures_of(done.stdout, "pack") == [*["1", "1", "3,000", "3,000", "31", "0", "0", "0", "0", "1"], "kill"]
    assert figures_of(done.stdout, "pack-to-folder")[2:8] == ["10,000", "10,000", "104", "0", "0", "0"]


@pytest.mark.parametrize(
    ("scenario", "code", "lost", "duplicated"),
    [
        (Pack(), 0, "0", "0"),
        (Pack('{"d": "d1", "n": "x", "i": -1}'), 1, "1", "0"),
        (Pack(removed=1), 1, "0", "1"),
    ],
    ids=["whole", "lost", "duplicated"],
)
def test_a_record_that_is_lost_or_duplicated_fails_the_command(
    scenario: Pack, code: int, lost: str, duplicated: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([scenario], tmp_path, 0, seed=1) == code
    assert figures_of(capsys.readouterr().out, "pack-to-folder")[5:7] == [lost, duplicated]


@pytest.mark.parametrize(
    ("scenario", "code", "said"),
    [
        (Says(), 0, "whole"),
        (Says(hung=1), 1, "1 hung"),
        (Says(ValueError("odd")), 1, "ValueError: odd"),
        (Says(MissingToolError("mvn is not installed: install it")), 0, "skipped: mvn is not installed: install it"),
    ],
    ids=["whole", "hung", "raises", "skipped"],
)
def test_what_a_round_says(
    scenario: Says, code: int, said: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([scenario], tmp_path, 0, seed=1) == code
    assert said in capsys.readouterr().out


def test_an_unknown_scenario_is_refused() -> None:
    command = [sys.executable, "-m", "tools.chaos", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no scenario has such a name; there are pack, " in done.stderr


def test_names_are_unique() -> None:
    names = [scenario.name for scenario in scenarios()]
    assert len(set(names)) == len(names) > 10


def test_the_same_seed_makes_the_same_choices(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[list[float]] = []

    class Draws(Says):
        def play(self, round: Round) -> Counted:
            seen.append([round.random.random() for _ in range(3)])
            return super().play(round)

    for seed in (1, 1, 2):
        run([Draws()], tmp_path, 0, seed)
    assert seen[0] == seen[1] != seen[2]


def test_acknowledged_records_are_counted_over_all_runs() -> None:
    runs = {"a": collections.Counter([1, 2]), "b": collections.Counter([2, 9])}
    assert count_acknowledged(runs, [1, 2, 3], 1) == (3, 4, 0, 1, 1, [])
    assert count_acknowledged(runs, [1, 2, 3], 0).problems == ["1 records are listed that were not acknowledged"]


def test_runs_that_list_anything_list_all() -> None:
    whole, half, none = collections.Counter([0, 1]), collections.Counter([0, 0]), collections.Counter[int]()
    assert count_whole_runs({"a": whole, "b": none}, range(2)) == (2, 2, 0, 0, 0, [])
    assert count_whole_runs({"a": whole, "b": half}, range(2)) == (4, 4, 0, 1, 1, [])
    assert count_whole_runs({"b": none}, range(2)) == (2, 0, 0, 2, 0, [])


def test_the_table_adds_up(tmp_path: pathlib.Path) -> None:
    tallies = {
        "a": Tally(2, 1.0, collections.Counter(kill=3), collections.Counter({"lost": 1})),
        "b": Tally(skipped="no Java"),
    }
    table = table_of(tallies)
    assert figures_of(table, "all")[:2] == ["2", "3"]
    assert figures_of(table, "a")[-2:] == ["3", "kill"]
    assert "skipped: no Java" in table
    assert [tally.is_good for tally in tallies.values()] == [False, True]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_clock_jumps_and_the_monotonic_one_does_not(tmp_path: pathlib.Path) -> None:
    clock = JumpingClock(tmp_path)
    program = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
    asked = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **clock.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with asked:
        assert asked.stdin
        assert asked.stdout
        for off in (0, -86_400, 3_600):
            clock.jump(off)
            asked.stdin.write("?\n")
            asked.stdin.flush()
            seen, monotonic = map(float, asked.stdout.readline().split())
            assert seen - time.time() == pytest.approx(off, abs=30)
            assert monotonic == pytest.approx(time.monotonic(), abs=30)


def test_a_victim_stands_still_and_meets_a_full_disk(tmp_path: pathlib.Path) -> None:
    counts = tmp_path / "counts"
    program = """
import os, sys, time
with open(sys.argv[1], "a") as counts:
    try:
        while True:
            print("x" * 99, file=counts, flush=True)
            time.sleep(0.01)
    except OSError as exc:
        os._exit(exc.errno)
"""
    command = [sys.executable, "-c", program, str(counts)]
    victim = Victim(command, os.environ, tmp_path / "log")
    try:
        assert eventually(counts.exists)
        victim.stop()
        time.sleep(0.1)
        size = counts.stat().st_size
        time.sleep(0.2)
        assert counts.stat().st_size == size
        victim.go_on()
        assert eventually(lambda: counts.stat().st_size > size)
        victim.fill_disk(0)
        assert victim.wait(30) == errno.EFBIG
    finally:
        victim.kill()
    assert victim.process.returncode != -signal.SIGKILL


class Exchanged:
    """An exchange that notes what is done with it, and opens the gate when it is reached."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def forward(self) -> Answer:
        self.log.append("forward")
        return Answer(200, {}, b"")

    def answer(self, answer: Answer) -> None:
        self.log.append("answer")

    def reset(self) -> None:
        self.log.append("reset")


@pytest.mark.parametrize(
    ("way", "log"),
    [
        ("before", ["reached", "forward", "answer"]),
        ("after", ["forward", "reached", "answer"]),
        ("never", ["reached", "reset"]),
    ],
)
def test_a_gate_holds_one_request(way: str, log: list[str]) -> None:
    gate, exchange, request = Gate(1, way), Exchanged(), Request("PutObject", "key", 0)
    assert gate(request) is None
    hold = gate(request)
    assert hold is not None
    holding = threading.Thread(target=hold, args=(exchange,))
    holding.start()
    assert gate.reached.wait(30)
    exchange.log.append("reached")
    gate.opened.set()
    holding.join()
    assert gate(request) is None
    assert (exchange.log, gate.requests) == (log, 3)


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until something holds, half a minute at most."""
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()
