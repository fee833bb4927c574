"""The memory of a process that is a job's alone."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Final

from beam_s3box.sizes import MiB

_OPTIONS: Final = {
    -8: 1,  # M_ARENA_MAX
    -3: 2 * MiB,  # M_MMAP_THRESHOLD: what is larger is a shard's text, which leaves no hole when it is sent
    -1: 16 * MiB,  # M_TRIM_THRESHOLD, as setting one ends that glibc adapts both
}
"""Options of glibc, and their values."""

_NEW_OBJECTS: Final = 10_000
"""Between two garbage collections, where Python's own number is 700: Beam is imported, and bad lines are packed, in 0.9
of the time."""

_owned = False
_trim: Callable[[int], int] | None = None
"""malloc_trim of glibc, in a process that is a job's."""


def own_process() -> None:
    """Take this process for a job: let all threads allocate from one heap, where glibc gives each its own.

    What one thread frees is then used by the others: a backfill of 1 GB took 60 MB less. It costs no time, as threads
    hold the interpreter's lock while they allocate.
    """
    global _owned, _trim
    _owned = True
    gc.set_threshold(_NEW_OBJECTS)
    if sys.platform == "linux":
        # takes a while to import
        import ctypes

        # other C libraries have no such functions, or some that do nothing
        library = ctypes.CDLL(None)
        set_option = getattr(library, "mallopt", None)
        if set_option is not None:
            for option, value in _OPTIONS.items():
                set_option(option, value)
        _trim = getattr(library, "malloc_trim", None)


def settle() -> None:
    """Leave all objects that exist out of garbage collections, if the process is a job's: what was imported stays.

    There are a million with Beam, and each collection looks at them: 100,000 dead letters take half of the time.
    """
    if _owned:
        gc.freeze()


def give_back() -> None:
    """Give free memory back to the system, if the process is a job's: 60 MB before a backfill of 1 GB uploads.

    It takes 2 ms. What is free lies in pieces between segments, where the text of a shard does not fit.
    """
    if _trim is not None:
        _trim(0)
