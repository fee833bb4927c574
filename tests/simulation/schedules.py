"""Schedules by number: each is a run in a world of its own, and the same number is the same run."""

from __future__ import annotations

import collections
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from tests.simulation.commit import commit
from tests.simulation.loads import redshift
from tests.simulation.runs import bounded, on_spark
from tests.simulation.shrink import shortest
from tests.simulation.stream import stream
from tests.simulation.streamer import streamer
from tests.simulation.world import Choices, World

KINDS: Final[dict[str, Callable[[Choices], World]]] = {
    "commit": commit,
    "backfill": bounded,
    "spark": on_spark,
    "stream": stream,
    "streamer": streamer,
    "redshift": redshift,
}


@dataclasses.dataclass
class Tally:
    """What schedules came to.

    Attributes:
      schedules: how many were run.
      faults: that were injected, by kind.
      failures: what broke, by seed.
      seconds: of the processor that they took.
    """

    schedules: int = 0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    failures: dict[int, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Take in what other schedules came to."""
        self.schedules += other.schedules
        self.faults += other.faults
        self.failures |= other.failures
        self.seconds += other.seconds


def failure(kind: str, choices: Choices) -> str | None:
    """Return how a schedule breaks what must hold; None if it does not."""
    try:
        KINDS[kind](choices)
    except Exception as exc:  # noqa: BLE001 - whatever it is
        return f"{type(exc).__name__}: {exc}"
    return None


def run(kind: str, seeds: Iterable[int], most: int = 1) -> Tally:
    """Run schedules until all are done, or as many have failed."""
    logging.disable(logging.CRITICAL)
    tally, began = Tally(), time.process_time()
    try:
        for seed in seeds:
            choices = Choices(seed)
            try:
                tally.faults += KINDS[kind](choices).faults
            except Exception as exc:  # noqa: BLE001 - whatever it is
                tally.failures[seed] = f"{type(exc).__name__}: {exc}"
            tally.schedules += 1
            if len(tally.failures) >= most:
                break
    finally:
        logging.disable(logging.NOTSET)
    tally.seconds = time.process_time() - began
    return tally


def explained(kind: str, seed: int) -> str:
    """Return a failed schedule as somebody wants to see it: the seed, what broke, and the shortest choices that do."""
    logging.disable(logging.CRITICAL)
    try:
        choices = Choices(seed)
        what = failure(kind, choices)
        short = shortest(choices.made, lambda given: failure(kind, Choices(given=given)) is not None)
    finally:
        logging.disable(logging.NOTSET)
    return (
        f"make simulate KIND={kind} SEED={seed}: {what}\n{len(choices.made)} choices, of which these suffice: {short}"
    )
