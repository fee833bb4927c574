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


_KNOWN: weakref.WeakSet[Forked] = weakref.WeakSet()


def renew_in_children(thing: Forked) -> None:
    """Call the object's `after_fork` in each process that is forked from this one, as long as the object lives."""
    _KNOWN.add(thing)


def _renew() -> None:
    for thing in list(_KNOWN):
        thing.after_fork()


os.register_at_fork(after_in_child=_renew)
