"""Lines of `make bench`: what was found, the goal, whether it is met, and what the run before found."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from tools.bench.measure import CACHE, machine

_FOLDER: Final = CACHE / "goals"
_BEFORE: Final = CACHE / "goals-before"


class Line(NamedTuple):
    """One thing that is measured.

    Attributes:
      name: what, and its unit if it is no ratio.
      found: in each round.
      goal: the median wanted; None if the line is only for information.
      at_least: whether it shall be at least the goal; else at most.
    """

    name: str
    found: list[float]
    goal: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.found)

    @property
    def met(self) -> str:
        """`yes`, `NO`, or nothing if there is no goal."""
        if self.goal is None:
            return ""
        return "yes" if (self.median >= self.goal if self.at_least else self.median <= self.goal) else "NO"

    @property
    def wanted(self) -> str:
        """The goal in words."""
        return "" if self.goal is None else f"{'>=' if self.at_least else '<='} {_short(self.goal)}"


def report(part: str, lines: Iterable[Line]) -> None:
    """Print the lines of one part of the bench, and keep them for `summary`, with those that were kept last.

    Args:
      part: its name, and that of the file.
      lines: of it.
    """
    lines = list(lines)
    for folder in (_FOLDER, _BEFORE):
        folder.mkdir(parents=True, exist_ok=True)
    path = _FOLDER / f"{part}.json"
    if path.exists():
        path.replace(_BEFORE / path.name)
    path.write_text(json.dumps([line._asdict() for line in lines], indent=2) + "\n")
    table = Table(part.replace("_", " "), "goal", "median", "from - to", "met", title=machine())
    for line in lines:
        spread = f"{_short(min(line.found))} - {_short(max(line.found))}" if len(line.found) > 1 else ""
        table.add_row(line.name, line.wanted, _short(line.median), spread, line.met)
    Console(width=130).print(table)


def summary(parts: Iterable[str]) -> None:
    """Print all lines of the parts in one table, with what the run before found."""
    table = Table("", "goal", "median", "met", "run before", "differs", title=machine())
    for part in parts:
        before = {line.name: line for line in _read(part, before=True)}
        for line in _read(part):
            old = before.get(line.name)
            differs = f"{100 * (line.median / old.median - 1):+.0f} %" if old and old.median else ""
            table.add_row(
                line.name, line.wanted, _short(line.median), line.met, _short(old.median) if old else "", differs
            )
        table.add_section()
    Console(width=150).print(table)


def _read(part: str, *, before: bool = False) -> list[Line]:
    path = (_BEFORE if before else _FOLDER) / f"{part}.json"
    return [Line(**fields) for fields in json.loads(path.read_text())] if path.exists() else []


def _short(number: float) -> str:
    if abs(number) >= 1_000:
        return f"{number:,.0f}"
    return f"{number:.3g}"
