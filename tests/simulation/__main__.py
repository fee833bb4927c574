"""Run schedules by their seeds: `make simulate SEEDS=0:10000`, `make simulate KIND=stream SEED=815`, `make simulate MINUTES=60`."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tests.simulation.schedules import KINDS, Tally, explained, run

_CHUNK: Final = 20
_SHOWN_FAILURES: Final = 10
_PROGRESS_SECONDS: Final = 60.0
_WORDS: Final = {
    "hung": ("HangsError", "not all is listed"),
    "lost": ("in no manifest",),
    "duplicated": ("listed twice",),
}
"""What failures say that are counted apart, each under the first that fits: who hangs names faults, as lost replies."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), help="all, if it is not given")
    parser.add_argument("--seeds", default="0:2000", help="from:to, of each kind")
    parser.add_argument("--seed", type=int, help="one schedule, which is explained if it fails")
    parser.add_argument(
        "--minutes", type=float, help="how long to run, from the first of the seeds on, whatever the last"
    )
    options = parser.parse_args()
    kinds = [options.kind] if options.kind else sorted(KINDS)
    if options.seed is not None:
        for kind in kinds:
            broken = run(kind, [options.seed]).failures
            print(explained(kind, options.seed) if broken else f"{kind} {options.seed}: holds")
        return
    first, last = map(int, options.seeds.split(":"))
    chunks = _chunks(kinds, first, last if options.minutes is None else None)
    until = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    sys.exit(1 if _run_all(kinds, chunks, until) else 0)


def _chunks(kinds: Sequence[str], first: int, last: int | None) -> Iterator[tuple[str, range]]:
    """Yield schedules of all kinds in turn; without end if there is no last one."""
    for start in itertools.count(first, _CHUNK) if last is None else range(first, last, _CHUNK):
        end = start + _CHUNK if last is None else min(last, start + _CHUNK)
        yield from ((kind, range(start, end)) for kind in kinds)


def _run_all(kinds: Sequence[str], chunks: Iterator[tuple[str, range]], until: float | None) -> bool:
    """Run schedules in as many processes as there are cores; return whether any broke a promise."""
    tallies = {kind: Tally() for kind in kinds}
    began = shown = time.monotonic()
    workers = os.cpu_count() or 1
    running: dict[concurrent.futures.Future[Tally], str] = {}
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        while True:
            while len(running) < 2 * workers and (until is None or time.monotonic() < until):
                chunk = next(chunks, None)
                if chunk is None:
                    break
                running[pool.submit(run, *chunk, len(chunk[1]))] = chunk[0]
            if not running:
                break
            ended = concurrent.futures.wait(running, _PROGRESS_SECONDS, concurrent.futures.FIRST_COMPLETED).done
            for done in ended:
                tallies[running.pop(done)].add(done.result())
            if time.monotonic() - shown >= _PROGRESS_SECONDS:
                shown = time.monotonic()
                _show(tallies, shown - began)
    return _show(tallies, time.monotonic() - began)


def _show(tallies: dict[str, Tally], seconds: float) -> bool:
    schedules = sum(tally.schedules for tally in tallies.values())
    print(f"{schedules:,} schedules in {seconds:,.0f} s, {3600 * schedules / seconds:,.0f} an hour")
    for kind, tally in tallies.items():
        _show_kind(kind, tally)
    sys.stdout.flush()
    return any(tally.failures for tally in tallies.values())


def _show_kind(kind: str, tally: Tally) -> None:
    print(
        f"{kind}: {tally.schedules:,} schedules, {1000 * tally.seconds / max(1, tally.schedules):.1f} ms of a processor each"
    )
    for fault, number in sorted(tally.faults.items(), key=lambda item: -item[1]):
        print(f"  {number:>11,}  {fault}")
    counts = collections.Counter(map(_word_of, tally.failures.values()))
    print("  promises broken: " + ", ".join(f"{counts[word]} {word}" for word in (*_WORDS, "other")))
    for seed, what in sorted(tally.failures.items())[:_SHOWN_FAILURES]:
        print(f"    make simulate KIND={kind} SEED={seed}   {what[:150]}")


def _word_of(what: str) -> str:
    return next((word for word, texts in _WORDS.items() if any(text in what for text in texts)), "other")


if __name__ == "__main__":
    main()
