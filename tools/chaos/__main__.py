"""Kill and stop real processes for minutes, round after round, and count what they wrote: `make chaos MINUTES=60`.

Each round begins a program, an engine or a load under faults and lets it end. Then `tests/checker` counts. The choices
of a round follow from the seed, the scenario and the number of the round; when exactly a process is hit does not.
Exit code 1: a record is lost or duplicated, something hung, or anything else is wrong.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.chaos.counting import Counted
from tools.chaos.scenarios import scenarios
from tools.chaos.table import Tally, table_of
from tools.chaos.world import Round, Scenario, new_world
from tools.processes import MissingToolError

_SHOW_SECONDS = 300.0


def main(arguments: list[str] | None = None) -> int:
    """Run it and return the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("words", nargs="*", help="only scenarios whose names have one of these")
    parser.add_argument("--minutes", type=float, default=10.0, help="until no other round is begun (default: 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of all choices (default: any)")
    parser.add_argument("--round", type=int, default=0, help="number of the first round of each (default: 0)")
    options = parser.parse_args(arguments)
    chosen = [one for one in scenarios() if not options.words or any(word in one.name for word in options.words)]
    if not chosen:
        parser.error(f"no scenario has such a name; there are {', '.join(one.name for one in scenarios())}")
    # as an exception, so that all is ended on the way out, and the table printed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        return run(chosen, Path(folder), 60 * options.minutes, options.seed, options.round)


def run(scenarios: Sequence[Scenario], folder: Path, seconds: float, seed: int, first: int = 0) -> int:
    """Play rounds until the time is over, next one of the scenario which had least of it; return the exit code.

    Args:
      scenarios: each gets a round at least.
      folder: for logs and files.
      seconds: after which no round is begun.
      seed: of the rounds' choices.
      first: number of the first round of each.
    """
    tallies = {scenario.name: Tally() for scenario in scenarios}
    shown = begun = time.monotonic()
    with new_world(folder) as world:
        try:
            while (left := waiting(scenarios, tallies)) and (
                time.monotonic() - begun < seconds or not tallies[left[0].name].rounds
            ):
                number = first + tallies[left[0].name].rounds
                play(
                    left[0],
                    Round(world, f"{left[0].name}-{number}", random.Random(f"{seed} {left[0].name} {number}")),
                    tallies,
                )
                if time.monotonic() - shown > _SHOW_SECONDS:
                    shown = time.monotonic()
                    print(table_of(tallies), flush=True)
        finally:
            print(f"seed {seed}, {(time.monotonic() - begun) / 60:.0f} minutes\n{table_of(tallies)}", flush=True)
    return 0 if all(tally.is_good for tally in tallies.values()) else 1


def waiting(scenarios: Sequence[Scenario], tallies: Mapping[str, Tally]) -> list[Scenario]:
    """Return those that can be played, first those that had none, then by the time that they had."""
    able = [scenario for scenario in scenarios if not tallies[scenario.name].skipped]
    return sorted(able, key=lambda scenario: (tallies[scenario.name].rounds > 0, tallies[scenario.name].seconds))


def play(scenario: Scenario, round: Round, tallies: Mapping[str, Tally]) -> None:
    """Play a round, and say what came of it in a line."""
    tally, begun = tallies[scenario.name], time.monotonic()
    try:
        wrong = tally.add(round, scenario.play(round))
    except MissingToolError as exc:
        tally.skipped = str(exc)
        print(f"{scenario.name}: skipped: {exc}", flush=True)
        return
    except Exception as exc:  # noqa: BLE001 - counted as a problem: the other scenarios go on
        traceback.print_exc()
        round.problems.append(f"{type(exc).__name__}: {exc}")
        wrong = tally.add(round, Counted(0, 0, 0, 0, 0, []))
    took = time.monotonic() - begun
    tally.seconds += took
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(round.faults.items()))
    print(
        f"{time.strftime('%H:%M:%S')} {round.name} {took:.0f} s: {faults or 'no fault'}; {'; '.join(wrong) or 'whole'}",
        flush=True,
    )
    if not wrong:
        shutil.rmtree(round.folder)


if __name__ == "__main__":
    sys.exit(main())
