"""What was done to each scenario, and what came of it, as a table."""

from __future__ import annotations

import collections
import dataclasses

from tools.chaos.counting import Counted
from tools.chaos.world import Round

_FIGURES = ("records in", "listed", "dead letters", "lost", "duplicated", "hung", "other problems")


@dataclasses.dataclass
class Tally:
    """All rounds of a scenario.

    Attributes:
      rounds: that were played.
      seconds: that they took.
      faults: injected, by kind.
      figures: sums of what was counted.
      skipped: why it is not played on this machine, or "".
    """

    rounds: int = 0
    seconds: float = 0.0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    figures: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    skipped: str = ""

    def add(self, round: Round, counted: Counted) -> list[str]:
        """Add a round, and return what is wrong with it."""
        self.rounds += 1
        self.faults += round.faults
        wrong = [*round.problems, *counted.problems]
        values = (*counted[:5], round.hung, len(wrong))
        self.figures.update(dict(zip(_FIGURES, values, strict=True)))
        named = zip(_FIGURES[3:6], values[3:6], strict=True)
        return [*(f"{value} {name}" for name, value in named if value), *wrong]

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, duplicated, hung or otherwise wrong."""
        return not any(self.figures[name] for name in _FIGURES[3:])


def table_of(tallies: dict[str, Tally]) -> str:
    """Return a table with a row for each scenario, and the sum of all."""
    kinds = sorted({kind for tally in tallies.values() for kind in tally.faults})
    total = Tally()
    for tally in tallies.values():
        total.rounds += tally.rounds
        total.faults += tally.faults
        total.figures.update(tally.figures)
    head = ["scenario", "rounds", *kinds, *_FIGURES]
    rows = [head, *(_row(name, tally, kinds) for name, tally in [*tallies.items(), ("all", total)])]
    widths = [max(len(row[column]) for row in rows if len(row) == len(head)) for column in range(len(head))]
    lines = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    ]
    return "\n".join(lines)


def _row(name: str, tally: Tally, kinds: list[str]) -> list[str]:
    if tally.skipped and not tally.rounds:
        return [name, f"skipped: {tally.skipped}"]
    counts = [tally.rounds, *(tally.faults[kind] for kind in kinds), *(tally.figures[name] for name in _FIGURES)]
    return [name, *(f"{count:,}" for count in counts)]
