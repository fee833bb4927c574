"""Renews locks, threads and connections in a forked process, before anything else runs there.

A lock may be held by a thread that only the parent has, and whoever takes it in the child would wait for ever.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """An object with locks, threads or connections."""

    def after_fork(self) -> None:
        """Renew what only the parent process can use; called in the child, before anything else runs there."""
        ...


_KNOWN: dict[int, weakref.ref[Forked]] = {}
"""By identity, so that a new object takes the place of one that is gone. Not a WeakSet: it runs Python code whenever an
object goes, and an exception that a signal handler raises there is lost."""


def renew_in_children(thing: Forked) -> None:
    """Call the object's `after_fork` in each process that is forked from this one, as long as the object lives."""
    _KNOWN[id(thing)] = weakref.ref(thing)


def _renew() -> None:
    for known in list(_KNOWN.values()):
        thing = known()
        if thing is not None:
            thing.after_fork()


os.register_at_fork(after_in_child=_renew)
