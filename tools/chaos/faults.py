"""What is done to a program while it runs, and when."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

from tools.chaos.clocks import JumpingClock
from tools.chaos.victims import Victim
from tools.chaos.world import Round

MAX_PAUSE_SECONDS = 2.5
MAX_JUMP_SECONDS = 200_000.0
FULL_SECONDS = 1.0
BYTES_LEFT = (0, 1_000, 20_000)


@contextlib.contextmanager
def pausing(victim: Victim) -> Iterator[None]:
    """Let a program stand still within the block."""
    victim.stop()
    try:
        yield
    finally:
        victim.go_on()


def inflict(kind: str, round: Round, victim: Victim, clock: JumpingClock | None = None) -> None:
    """Do something to a program, and note it; only `kill` ends it.

    Args:
      kind: `kill`, `stop`, `disk full`, `clock jump`, `S3 stop` or `S3 kill`.
      round: whose choices say how long, how far or how full.
      victim: the program.
      clock: what it was started with, for jumps.
    """
    round.faults[kind] += 1
    pause = round.random.uniform(0.05, MAX_PAUSE_SECONDS)
    if kind == "kill":
        victim.kill()
    elif kind == "stop":
        with pausing(victim):
            time.sleep(pause)
    elif kind == "disk full":
        victim.fill_disk(round.random.choice(BYTES_LEFT))
        time.sleep(FULL_SECONDS)
        victim.free_disk()
    elif kind == "clock jump" and clock is not None:
        # most are of minutes, some of days
        clock.jump(round.random.uniform(-1, 1) ** 3 * MAX_JUMP_SECONDS)
    else:
        disturb_s3(kind, round, pause)


def disturb_s3(kind: str, round: Round, pause: float) -> None:
    """Let the S3 server stand still for so many seconds, or kill it and start it again after them."""
    s3 = round.world.s3
    if kind == "S3 stop":
        s3.signal(signal.SIGSTOP)
        time.sleep(pause)
        s3.signal(signal.SIGCONT)
    elif kind == "S3 kill":
        s3.kill()
        time.sleep(pause)
        s3.start()
    else:
        raise ValueError(f"kind={kind!r}: there is no such fault")
