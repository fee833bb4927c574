"""Renews locks, threads and connections in a forked process, before anything else runs there.

A lock may be held by a thread that exists only in the parent; the child would wait for it for ever.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """An object with locks, threads or connections."""

    def after_fork(self) -> None:
        """Renew what only the parent can use; called in the child, before anything else runs there."""
        ...


_KNOWN: dict[int, weakref.ref[Forked]] = {}
"""By `id`, so that a new object replaces one that was deleted. Not a WeakSet: it runs Python code whenever an object is
deleted, and an exception that a signal handler raises there is lost."""


def renew_in_children(thing: Forked) -> None:
    """Call the object's `after_fork` in each process that is forked from this one, as long as the object lives."""
    _KNOWN[id(thing)] = weakref.ref(thing)


def _renew() -> None:
    for known in list(_KNOWN.values()):
        thing = known()
        if thing is not None:
            thing.after_fork()


os.register_at_fork(after_in_child=_renew)
