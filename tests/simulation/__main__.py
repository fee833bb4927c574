"""Run schedules by their seeds: `make simulate SEEDS=0:10000`, `make simulate KIND=commit SEED=815`."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import os
import sys
import time

from tests.simulation.schedules import KINDS, Tally, explained, run

_CHUNK = 250


def main() -> None:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), help="all, if it is not given")
    parser.add_argument("--seeds", default="0:2000", help="from:to, of each kind")
    parser.add_argument("--seed", type=int, help="one schedule, which is explained if it fails")
    options = parser.parse_args()
    kinds = [options.kind] if options.kind else sorted(KINDS)
    if options.seed is not None:
        for kind in kinds:
            broken = run(kind, [options.seed]).failures
            print(explained(kind, options.seed) if broken else f"{kind} {options.seed}: holds")
        return
    first, last = map(int, options.seeds.split(":"))
    began, failed = time.monotonic(), False
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for kind in kinds:
            chunks = [range(start, min(last, start + _CHUNK)) for start in range(first, last, _CHUNK)]
            tallies = list(pool.map(run, [kind] * len(chunks), chunks, [5] * len(chunks)))
            failed |= _show(kind, tallies, time.monotonic() - began)
            began = time.monotonic()
    sys.exit(1 if failed else 0)


def _show(kind: str, tallies: list[Tally], seconds: float) -> bool:
    schedules = sum(tally.schedules for tally in tallies)
    faults = sum((tally.faults for tally in tallies), collections.Counter[str]())
    failures = {seed: what for tally in tallies for seed, what in tally.failures.items()}
    print(f"{kind}: {schedules:,} schedules in {seconds:.0f} s, {3600 * schedules / seconds:,.0f} an hour")
    for fault, number in sorted(faults.items(), key=lambda item: -item[1]):
        print(f"  {number:>9,}  {fault}")
    print(f"  {len(failures)} broke a promise")
    for seed, what in sorted(failures.items())[:10]:
        print(f"    make simulate KIND={kind} SEED={seed}   {what[:150]}")
    return bool(failures)


if __name__ == "__main__":
    main()
