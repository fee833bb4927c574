"""Locks that are released whatever line an exception is raised at: a signal handler may raise at any."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar


class _Guarded(Protocol):
    _guard: threading.Lock


_Self = TypeVar("_Self", bound=_Guarded)
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def synchronized(
    method: Callable[Concatenate[_Self, _Parameters], _Result],
) -> Callable[Concatenate[_Self, _Parameters], _Result]:
    """Make a method hold the `_guard` of its object, a plain `threading.Lock`, while it runs.

    Locks and queues written in Python (`Condition`, `Event`) stay locked for ever if a signal handler raises while
    they are acquired, so this package uses only those written in C.
    """

    @functools.wraps(method)
    def locked(self: _Self, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        # on one line, so that no line begins between the end of the method and the release of the lock
        # fmt: off
        with self._guard: return method(self, *args, **kwargs)  # noqa: E701
        # fmt: on

    return locked
