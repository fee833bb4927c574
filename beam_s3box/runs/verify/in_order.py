"""Runs a function for many items on threads, with few of them waiting, and gives the results in order."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from beam_s3box.sizes import MiB
from beam_s3box.system.threads import Task, Threads

Item = TypeVar("Item")
T = TypeVar("T")

_AHEAD: Final = 64
"""Items that are handed to the threads before the first result is asked for."""

BUDGET_BYTES: Final = 512 * MiB
"""What items in the threads' hands may take in memory, unless one alone takes more."""


def in_order(
    threads: Threads,
    function: Callable[[Item], T],
    items: Iterable[Item],
    size_of: Callable[[Item], int] = lambda item: 0,
    budget_bytes: int = BUDGET_BYTES,
) -> Iterator[T]:
    """Yield what the function returns for each item, in order.

    Unlike `Threads.map` it takes items as it goes, so that there may be any number of them. After an error, or when the
    caller stops iterating, calls that have not started are cancelled.

    Args:
      threads: run the function.
      function: takes an item.
      items: any number of them.
      size_of: returns about how many bytes an item takes while the function runs.
      budget_bytes: for all of them together.
    """
    waiting: collections.deque[tuple[Task[T], int]] = collections.deque()
    held = 0
    try:
        for item in items:
            size = size_of(item)
            while waiting and (len(waiting) >= _AHEAD or held + size > budget_bytes):
                task, freed = waiting.popleft()
                yield task.result()
                held -= freed
            waiting.append((threads.submit(function, item), size))
            held += size
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        for task, _ in waiting:
            task.cancel()
