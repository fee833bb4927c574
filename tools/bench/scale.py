"""How time and memory grow with data, streams, shards and workers: `make bench-scale` prints a table, draws a figure.

Each case is a process of its own; what it imports and starts with is in its memory, not in its time. `growth` compares
the last two points: 1 is linear, and no step may grow faster. Saved to `.cache/bench/scale.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import sys
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from tools.bench.figure import Chart, Line, draw
from tools.bench.measure import CACHE, json_of, machine

FIGURE: Final = pathlib.Path(__file__).parents[2] / "docs" / "scale.svg"
MOST_GROWTH: Final = 1.1
"""The exponent of the last step, with what a measurement is off by."""


class Axis(NamedTuple):
    """What grows.

    Attributes:
      case: of `tools.bench.scale_cases`.
      what: the unit of the points.
      points: how many.
      more: further arguments of the case.
      goal: seconds of processor time and MB at the last point, None for none.
    """

    case: str
    what: str
    points: tuple[int, ...]
    more: tuple[str, ...] = ()
    goal: tuple[float, int] | None = None


AXES: Final = (
    Axis("data", "times 101 MB", (1, 3, 10)),
    Axis("streams", "streams, 101 MB", (10, 100, 1_000, 10_000)),
    Axis("shards", 'shards, per="run"', (1_000, 10_000, 100_000), ("run",), (10, 500)),
    Axis("shards", 'shards, per="stream"', (1_000, 10_000, 100_000), ("stream",), (10, 500)),
    Axis("workers", "workers' bundles, 101 MB", (1, 10, 1_000)),
)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=pathlib.Path, default=FIGURE, help="where the figure is written")
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    results = [[_measure(axis, point) for point in axis.points] for axis in AXES]
    (CACHE / "scale.json").write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")
    arguments.figure.write_text(figure_of(results), encoding="utf-8")
    table = Table("what", "number", "processor s", "wall s", "peak MB", "growth", "goal", "met", title=machine())
    for axis, row in zip(AXES, results, strict=True):
        for number, result in enumerate(row):
            last = number == len(row) - 1
            table.add_row(axis.what, f"{result['point']:,}", *_figures(result), *(_verdict(axis, row) if last else ()))
    Console(width=120).print(table)
    if not all(is_met(axis, row) for axis, row in zip(AXES, results, strict=True)):
        raise SystemExit("a step grows faster than it may, or misses its goal")


def growth_of(row: list[dict[str, Any]]) -> float:
    """Return the exponent with which time grew from the last point but one to the last."""
    before, last = row[-2:]
    return math.log(last["cpu"] / before["cpu"]) / math.log(last["point"] / before["point"])


def is_met(axis: Axis, row: list[dict[str, Any]]) -> bool:
    """Return whether what grows keeps its goals."""
    seconds, megabytes = axis.goal or (math.inf, math.inf)
    return growth_of(row) <= MOST_GROWTH and row[-1]["cpu"] <= seconds and row[-1]["peak_bytes"] <= megabytes * 1e6


def figure_of(results: list[list[dict[str, Any]]]) -> str:
    """Return the figure: time above, memory below, a column for each thing that grows."""
    rows: dict[str, list[Chart]] = {"processor time, s": [], "peak memory, MB": []}
    columns: dict[str, list[Line]] = {}
    names: dict[str, str] = {}
    for axis, row in zip(AXES, results, strict=True):
        names.setdefault(axis.case, axis.what.partition(", per")[0])
        name = f'per="{axis.more[0]}"' if axis.more else ""
        columns.setdefault(f"cpu {axis.case}", []).append(Line(name, [(each["point"], each["cpu"]) for each in row]))
        columns.setdefault(f"peak {axis.case}", []).append(
            Line(name, [(each["point"], each["peak_bytes"] / 1e6) for each in row])
        )
    for case, what in names.items():
        rows["processor time, s"].append(Chart("processor time, s", what, columns[f"cpu {case}"]))
        rows["peak memory, MB"].append(Chart("peak memory, MB", what, columns[f"peak {case}"]))
    return draw(list(rows.values()))


def _measure(axis: Axis, point: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.bench.scale_cases", axis.case, str(point), *axis.more]
    return {"point": point, **json_of(command)}


def _figures(result: dict[str, Any]) -> tuple[str, str, str]:
    return f"{result['cpu']:.2f}", f"{result['seconds']:.2f}", f"{result['peak_bytes'] / 1e6:.0f}"


def _verdict(axis: Axis, row: list[dict[str, Any]]) -> tuple[str, str, str]:
    goal = f"growth <= {MOST_GROWTH}" + (f", <= {axis.goal[0]} s, {axis.goal[1]} MB" if axis.goal else "")
    return f"{growth_of(row):.2f}", goal, "yes" if is_met(axis, row) else "NO"


if __name__ == "__main__":
    main()
