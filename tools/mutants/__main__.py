"""Put each seeded fault into a copy of the repository, and see that each of the tests named with it fails."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tools.mutants.fault import Fault
from tools.mutants.faults import FAULTS

_ROOT: Final = pathlib.Path(__file__).resolve().parent.parent.parent
_NOT_COPIED: Final = shutil.ignore_patterns(".git", ".venv*", ".cache", "site", "__pycache__", ".*_cache", "*.egg-info")
_FAILED: Final = 1
"""What pytest ends with if a test failed; anything else is no answer."""

_SECONDS: Final = 900.0
_DETAIL: Final = 160
"""Characters."""


class Outcome(NamedTuple):
    """What the tests said.

    Attributes:
      is_noticed: whether a test failed for each argument of the fault.
      seconds: they took.
      detail: the first that failed, or what was said where none did.
    """

    is_noticed: bool
    seconds: float
    detail: str


def main() -> None:
    """Run all faults, or those whose names contain a word."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name or file contains one of these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="copies at the same time")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if _is_chosen(fault, options.words)]
    if not chosen:
        raise SystemExit("no fault has such a name")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        copies: queue.SimpleQueue[pathlib.Path] = queue.SimpleQueue()
        for number in range(options.jobs):
            copy = pathlib.Path(folder, str(number))
            shutil.copytree(_ROOT, copy, ignore=_NOT_COPIED)
            copies.put(copy)
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(options.jobs))
        broken = _failing_without(pool, copies, chosen)
        running = {pool.submit(_try, copies, fault): fault for fault in chosen if not broken & {*fault.tests}}
        survived = 0
        for ended in concurrent.futures.as_completed(running):
            outcome, fault = ended.result(), running[ended]
            survived += not outcome.is_noticed
            mark = "noticed " if outcome.is_noticed else "SURVIVED"
            print(f"{mark} {outcome.seconds:6.1f} s  {fault.name} ({fault.file}): {outcome.detail}", flush=True)
    print(f"{len(running)} faults, {len(running) - survived} noticed, {survived} not")
    if broken:
        print("these tests fail without any fault, so nothing was tried with them:", *sorted(broken), sep="\n  ")
    sys.exit(1 if survived or broken else 0)


def _is_chosen(fault: Fault, words: Sequence[str]) -> bool:
    return not words or any(word in fault.name or word in fault.file for word in words)


def _failing_without(
    pool: concurrent.futures.Executor, copies: queue.SimpleQueue[pathlib.Path], faults: Sequence[Fault]
) -> set[str]:
    """Return the tests that fail as the code is: they would notice nothing."""
    tests = sorted({test for fault in faults for test in fault.tests})
    results = pool.map(lambda test: _run(copies, test), tests)
    return {test for test, result in zip(tests, results, strict=True) if result.returncode}


def _try(copies: queue.SimpleQueue[pathlib.Path], fault: Fault) -> Outcome:
    begun, details = time.monotonic(), []
    # one at a time: a test that does not fail is named in vain next to one that does
    for test in fault.tests:
        result = _run(copies, test, fault)
        lines = [line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        details.append(lines[0] if lines else (result.stdout + result.stderr).strip().splitlines()[-1])
        if result.returncode != _FAILED:
            return Outcome(False, time.monotonic() - begun, f"{test}: {details[-1]}"[:_DETAIL])
    return Outcome(True, time.monotonic() - begun, details[0][:_DETAIL])


def _run(
    copies: queue.SimpleQueue[pathlib.Path], test: str, fault: Fault | None = None
) -> subprocess.CompletedProcess[str]:
    copy = copies.get()
    try:
        with _applied(copy, fault):
            return subprocess.run(
                [sys.executable, "-B", "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", test],
                cwd=copy,
                env={**os.environ, "PYTHONPATH": str(copy)},
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired as exc:
        return subprocess.CompletedProcess(exc.cmd, _FAILED, f"FAILED after {_SECONDS:.0f} seconds: it hangs", "")
    finally:
        copies.put(copy)


@contextlib.contextmanager
def _applied(copy: pathlib.Path, fault: Fault | None) -> Iterator[None]:
    if fault is None:
        yield
        return
    path = copy / fault.file
    whole = path.read_bytes()
    path.write_text(fault.changed(copy), "utf-8")
    try:
        yield
    finally:
        path.write_bytes(whole)


if __name__ == "__main__":
    main()
