"""A folder of a streamer, whose process dies again and again: every acknowledged record is listed once."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import IO

from tests.checker.committed import committed_ids
from tools.chaos.clocks import JumpingClock
from tools.chaos.counting import Counted, count_acknowledged
from tools.chaos.faults import inflict
from tools.chaos.victims import Victim
from tools.chaos.world import Round, clean_environment, random_gate

KINDS = ("kill", "kill", "stop", "disk full", "disk full", "clock jump", "S3 stop")
PATIENCE_SECONDS = 240.0
LIFE_SECONDS = 4.0
REQUESTS = 40
"""Of a life, about."""

THREADS = 2
"""That append at the same time."""

_EACH = 1_000_000
"""Numbers that a life may use up."""


class Streamer:
    """Lives on one folder, each of which ends by kill -9, and has other faults before."""

    name = "streamer"

    def play(self, round: Round) -> Counted:
        """Let some lives begin and die, and one that nothing disturbs upload and list what they left."""
        acknowledged: list[int] = []
        lives = round.random.randint(2, 4)
        for life in range(lives):
            self._live(round, life * _EACH, acknowledged)
        last = self._start(round, -1, {})
        code = last.wait(PATIENCE_SECONDS)
        if code is None:
            round.hung += 1
            last.kill()
        elif code:
            round.blame(f"the last life ended with {code}")
        # killed after the record was in the file, and before it was acknowledged
        return count_acknowledged(committed_ids(round.world.place(round.url), "i"), acknowledged, THREADS * lives)

    def _live(self, round: Round, first: int, acknowledged: list[int]) -> None:
        kind = round.random.choice(KINDS)
        clock = JumpingClock(round.folder) if kind == "clock jump" else None
        gate = random_gate(round.random, round.random.randrange(REQUESTS))
        round.world.proxy.rule = gate
        victim = self._start(round, first, clock.environment if clock else {}, subprocess.PIPE)
        reader = threading.Thread(target=_read_numbers, args=(victim.process.stdout, acknowledged))
        reader.start()
        victim.wait_for(gate.reached, round.random.uniform(0.5, LIFE_SECONDS))
        if kind != "kill":
            inflict(kind, round, victim, clock)
            gate.opened.set()
            victim.wait(round.random.uniform(0, LIFE_SECONDS / 2))
        # a streamer can't begin on a full disk
        if victim.process.poll() is not None and kind != "disk full":
            round.blame("a life ended on its own")
        inflict("kill", round, victim)
        gate.opened.set()
        reader.join()

    def _start(self, round: Round, first: int, variables: dict[str, str], stdout: int | None = None) -> Victim:
        command = [sys.executable, "-m", "tools.chaos.writer", str(round.folder / "buffers"), round.url, str(first)]
        environment = {**clean_environment(), **round.world.environment, **variables}
        return Victim(command, environment, round.log, stdout=stdout)


def _read_numbers(said: IO[bytes], acknowledged: list[int]) -> None:
    """Note what the program says until it ends; a last line may be torn."""
    with said as lines:
        acknowledged += [int(line) for line in lines if line.endswith(b"\n")]
