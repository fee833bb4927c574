"""Programs that are begun again until they succeed: each attempt is killed, stopped, replaced or deceived."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.checker.places import Folder, Place
from tests.checker.verification import Rules
from tools.chaos.clocks import JumpingClock
from tools.chaos.counting import Counted, count_run
from tools.chaos.faults import inflict
from tools.chaos.victims import Victim
from tools.chaos.world import Gate, Round, clean_environment, random_gate

RUN_ID = "chaos"
STREAMS = 4
EVERY_BAD_LINE = 97
PATIENCE_SECONDS = 240.0
FIRST_SECONDS = 2.5
"""How long an attempt takes, before one was measured."""

AT_REQUESTS = {"kill": 0.7, "stop": 0.7, "replace": 0.5}
"""How often these happen at the very moment of a request; else, and the others always, at any moment."""

Command = Callable[[str, Path], list[str]]
"""Takes a destination and a file of lines, and returns what stands behind `python -m`."""


def write_source(path: Path, records: int) -> None:
    """Write numbered records of a few streams, and now and then a line that is no record."""
    with path.open("w") as lines:
        for number in range(records):
            record = {"d": f"d{number % STREAMS}", "n": "x", "i": number, "pad": "p" * (number % 89)}
            lines.write(json.dumps(record) + "\n")
            if number % EVERY_BAD_LINE == 0:
                lines.write(f"no record {number}\n")


class Attempts:
    """A program of which one attempt must succeed in the end, with all of its records counted once.

    Args:
      name: of the scenario.
      records: how many it is given, in a file, and as standard input.
      command: to run.
      kinds: of faults, each as likely as it is often; `replace`: it stands still while the next attempt begins, and
        wakes during that or behind it.
      folder: whether the destination is a local folder.
      locks: whether an attempt that stands still may hold up those behind it.
    """

    def __init__(
        self,
        name: str,
        records: int,
        command: Command,
        kinds: tuple[str, ...],
        *,
        folder: bool = False,
        locks: bool = False,
    ) -> None:
        self.name = name
        self._records = records
        self._command = command
        self._kinds = kinds
        self._is_folder = folder
        self._locks = locks
        self._seconds, self._requests, self._index = FIRST_SECONDS, 1, 0

    def play(self, round: Round) -> Counted:
        """Disturb up to three attempts, and let the last one be."""
        source = round.folder / "lines.jsonl"
        write_source(source, self._records)
        self.prepare(round, source)
        asleep: list[tuple[Victim, Gate]] = []
        try:
            for _ in range(round.random.randint(1, 3)):
                if self._disturbed(round, source, asleep) == 0 or (asleep and self._locks):
                    break
            self._finish(round, source, asleep)
        finally:
            for victim, _ in asleep:
                victim.kill()
        return self.count(round, source)

    def prepare(self, round: Round, source: Path) -> None:
        """Do what comes before the first attempt."""

    def harm(self, kind: str, round: Round, victim: Victim) -> None:
        """Inflict a fault on an attempt, or on what it depends on."""
        inflict(kind, round, victim)

    def count(self, round: Round, source: Path) -> Counted:
        """Count what the attempts left together."""
        return count_run(self.place(round), source, Rules("i", ("d", "n")), RUN_ID)

    def place(self, round: Round) -> Place:
        """Return the destination, to be read."""
        url = self.destination(round)
        return Folder(url) if self._is_folder else round.world.place(url)

    def destination(self, round: Round) -> str:
        """Return the destination as the program gets it."""
        return str(round.folder / "box") if self._is_folder else round.url

    def environment(self, round: Round) -> Mapping[str, str]:
        """Return what the program needs in addition to this process's own variables."""
        return round.world.environment

    def gate(self, round: Round, index: int) -> Gate:
        """Return what holds the request of that number, and let requests meet it."""
        gate = random_gate(round.random, index)
        round.world.proxy.rule = gate
        return gate

    def _start(self, round: Round, source: Path, variables: Mapping[str, str] | None = None) -> Victim:
        command = [sys.executable, "-m", *self._command(self.destination(round), source)]
        environment = {**clean_environment(), **self.environment(round), **(variables or {})}
        return Victim(command, environment, round.log, source)

    def _disturbed(self, round: Round, source: Path, asleep: list[tuple[Victim, Gate]]) -> int | None:
        """Run one attempt under a fault, and return its exit code; None if it was killed or sleeps."""
        kind = round.random.choice(self._kinds)
        if kind == "clock jump":
            return self._under_jumps(round, source)
        at_request = round.random.random() < AT_REQUESTS.get(kind, 0) and not self._is_folder
        gate = self.gate(round, self._next_index() if at_request else -1)
        with contextlib.ExitStack() as stack:
            stack.callback(gate.opened.set)
            victim = self._start(round, source)
            if at_request:
                victim.wait_for(gate.reached, PATIENCE_SECONDS)
            else:
                victim.wait(round.random.uniform(0, self._seconds))
            if (code := victim.process.poll()) is not None:
                return code
            if kind == "replace":
                round.faults[kind] += 1
                victim.stop()
                asleep.append((victim, gate))
                # its request, too, waits until it wakes
                stack.pop_all()
                return None
            self.harm(kind, round, victim)
        return None if kind == "kill" else self._code(round, victim)

    def _under_jumps(self, round: Round, source: Path) -> int | None:
        clock = JumpingClock(round.folder)
        self.gate(round, -1)
        victim = self._start(round, source, clock.environment)
        while victim.wait(round.random.uniform(0, self._seconds / 3)) is None and round.random.random() < 0.8:
            inflict("clock jump", round, victim, clock)
        return self._code(round, victim)

    def _finish(self, round: Round, source: Path, asleep: list[tuple[Victim, Gate]]) -> None:
        """Let an attempt succeed; those that sleep wake up during it or behind it."""
        gate, begun = self.gate(round, -1), time.monotonic()
        victim = self._start(round, source)
        if self._locks or (asleep and round.random.random() < 0.5):
            victim.wait(round.random.uniform(0, self._seconds))
        elif victim.wait(PATIENCE_SECONDS) == 0:
            self._seconds, self._requests = time.monotonic() - begun, max(gate.requests, self._requests)
        for sleeper, held in asleep:
            sleeper.go_on()
            held.opened.set()
        code = self._code(round, victim)
        for sleeper, _ in asleep:
            self._code(round, sleeper)
        asleep.clear()
        # one that is overtaken by who woke up fails, and says so
        if code != 0 and self._code(round, self._start(round, source)) != 0:
            round.blame("an attempt that nothing disturbed failed")

    def _code(self, round: Round, victim: Victim) -> int | None:
        """Return the exit code; None if it hangs."""
        code = victim.wait(PATIENCE_SECONDS)
        if code is None:
            round.hung += 1
            victim.kill()
        return code

    def _next_index(self) -> int:
        self._index = (self._index + 1) % self._requests
        return self._index
