"""What was done to each scenario, and what came of it, as a table."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping

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


def table_of(tallies: Mapping[str, Tally]) -> str:
    """Return a table with a row for each scenario, and the sum of all."""
    total = Tally()
    for tally in tallies.values():
        total.rounds += tally.rounds
        total.faults += tally.faults
        total.figures.update(tally.figures)
    head = ["scenario", "rounds", "faults", *_FIGURES, "of which kind"]
    rows = [head, *(_row(name, tally) for name, tally in [*tallies.items(), ("all", total)])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    texts = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:-1], widths[1:]), row[-1]] for row in rows]
    return "\n".join("  ".join(cells) for cells in texts)


def _row(name: str, tally: Tally) -> list[str]:
    counts = [tally.rounds, tally.faults.total(), *(tally.figures[figure] for figure in _FIGURES)]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(tally.faults.items()))
    return [name, *(f"{count:,}" for count in counts), f"skipped: {tally.skipped}" if tally.skipped else kinds]
