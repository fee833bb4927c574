"""What the package gives to threads, as actors of the world."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from beam_s3box.errors import S3BoxError
from beam_s3box.system.outside import replaced
from beam_s3box.system.threads import Threads
from beam_s3box.transforms import runtime
from tests.simulation.graph import remembered_signatures
from tests.simulation.world import World


class _Task:
    """A call that another actor makes; a Pending of the package."""

    def __init__(self, world: World, name: str, call: Callable[[], Any]) -> None:
        self._world = world
        self._cancelled = False
        self._begun = False
        self._call = call
        self._actor = world.spawn(name, self._run, is_thread=True)

    def _run(self) -> Any:
        if self._cancelled:
            return None
        self._begun = True
        return self._call()

    def done(self) -> bool:
        return self._actor.ended or self._cancelled

    def cancel(self) -> bool:
        self._cancelled = self._cancelled or not self._begun
        return self._cancelled

    def result(self) -> Any:
        while not self.done():
            # its actor cannot end before it wakes. One look at each pace would be thousands of steps for a wait before a
            # retry, and a schedule of many retries would seem to hang
            self._world.pause(self._actor.wakes - self._world.now)
        if self._cancelled:
            raise S3BoxError("cancelled")
        if self._actor.error is not None:
            raise self._actor.error
        return self._actor.result


class Tasks:
    """Runs each task as an actor; an Executor of the package."""

    def __init__(self, world: World) -> None:
        self._world = world

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        return _Task(self._world, "task", lambda: function(*arguments))


class _Done:
    def __init__(self, value: Any) -> None:
        self._value = value

    def done(self) -> bool:
        return True

    def cancel(self) -> bool:
        return False

    def result(self) -> Any:
        return self._value


@contextlib.contextmanager
def on_actors(world: World) -> Iterator[None]:
    """Run what is given to threads on actors, time and chance by the world; compression at once."""

    def submit(self: Threads, function: Callable[..., Any], /, *arguments: Any) -> Any:
        if "codec" in self._name:
            return _Done(function(*arguments))
        return _Task(world, self._name, lambda: function(*arguments))

    original = Threads.submit
    Threads.submit = submit  # type: ignore[method-assign]
    runtime._CLAIMED.clear()
    runtime._FINISHED.clear()
    try:
        with replaced(world), remembered_signatures():
            try:
                yield
            finally:
                world.end()  # while it is in place: those who wait may clean up, which asks for time
    finally:
        Threads.submit = original  # type: ignore[method-assign]
