"""Locks, queues and threads of the package as actors of a world, so that every order in which they meet can happen.

They take the place of `threading`, `queue` and `_thread` in the modules of the package. An actor that waits lets others
go on, and an exception of a signal handler may reach it there.
"""

from __future__ import annotations

import _thread
import contextlib
import inspect
import queue
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

import greenlet

from beam_s3box.system.outside import replaced
from tests.simulation.world import HangsError, World

_FOR_EVER: Final = 1e7
"""Seconds that somebody waits who has no limit; a world in which all do stands still, which its oracle notices."""

_YIELDS: Final = (0.0, 0.02, 0.3)
"""How likely another actor goes on before a lock is taken, in one world."""


class Late(Exception):
    """What the handler of a signal raises, as a time limit does."""


class Switch:
    """Where actors let others go on.

    Args:
      world: of the actors.
      yields: how likely they do; None for what the choices say.

    Attributes:
      signalled: actors that a signal may reach while they wait, and the name of that fault.
      hung: who waited for ever.
    """

    def __init__(self, world: World, yields: float | None) -> None:
        self.world = world
        self.signalled: dict[Any, str] = {}
        self.hung: list[str] = []
        self._waiting: list[tuple[Any, Any]] = []
        self._share = _YIELDS[world.choices.below(len(_YIELDS))] if yields is None else yields

    def may_yield(self) -> None:
        """Maybe let others go on."""
        if self.world.is_over:
            raise greenlet.GreenletExit
        if self._share == 1.0 or self.world.choices.happens(self._share):
            self.world.sleep(0.0)

    def wait(self, thing: Any, until: Callable[[], bool], timeout: float | None) -> bool:
        """Wait for something to happen to a thing; return whether it did."""
        world, actor = self.world, self.world._current
        if world.is_over:
            raise greenlet.GreenletExit
        is_limited = timeout is not None and timeout >= 0
        end = world.now + (timeout if is_limited else _FOR_EVER)  # type: ignore[operator]
        name = self.signalled.get(actor)
        while not until():
            if actor is None or world.now >= end:
                if not is_limited:
                    self.hung.append(f"{actor and actor.name} waits for ever")
                    raise HangsError(self.hung[-1])
                return False
            if name is not None and world.fails(name, 0.02):
                raise Late
            place = (thing, actor)
            self._waiting.append(place)
            try:
                world.sleep(end - world.now)
            finally:
                self._waiting.remove(place)
        return True

    def wake(self, thing: Any) -> None:
        """Let those go on that wait for something to happen to a thing."""
        for waited, actor in self._waiting:
            if waited is thing:
                actor.wake = self.world.now


class SimLock:
    """`threading.Lock`, and with `again` an RLock."""

    def __init__(self, switch: Switch, *, again: bool = False) -> None:
        self._switch = switch
        self._again = again
        self._owner: Any = None
        self._times = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = greenlet.getcurrent()
        if self._again and self._owner is me:
            self._times += 1
            return True
        self._switch.may_yield()
        if self._times and not (blocking and self._switch.wait(self, lambda: not self._times, timeout)):
            return False
        self._owner, self._times = me, 1
        return True

    def release(self) -> None:
        if not self._times or (self._again and self._owner is not greenlet.getcurrent()):
            raise RuntimeError("release unlocked lock")
        self._times -= 1
        if not self._times:
            self._owner = None
            self._switch.wake(self)

    def locked(self) -> bool:
        return self._times > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


class SimQueue:
    """`queue.SimpleQueue`."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._items: list[Any] = []

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._switch.wake(self)
        self._switch.may_yield()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._switch.may_yield()
        if not self._items and not (block and self._switch.wait(self, lambda: bool(self._items), timeout)):
            raise queue.Empty
        return self._items.pop(0)

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def empty(self) -> bool:
        return not self._items


class SimThread:
    """`threading.Thread`, or the one that an actor is."""

    def __init__(self, world: World, target: Callable[[], None] = lambda: None, name: str = "", **_: Any) -> None:
        self.name = name
        self._world = world
        self._target = target
        self._actor: Any = None

    def start(self) -> None:
        self._actor = self._world.spawn(self.name, self._target, is_thread=True)
        _THREADS[self._actor.greenlet] = self

    def join(self, timeout: float | None = None) -> None:
        while self.is_alive():
            self._world.sleep(0.01)

    def is_alive(self) -> bool:
        return self._actor is None or not self._actor.ended


_THREADS: dict[Any, SimThread] = {}


class _Module(types.SimpleNamespace):
    """A module in which a few names are others."""

    def __init__(self, module: Any, **names: Any) -> None:
        super().__init__(**names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def lines_of(*modules: types.ModuleType) -> list[tuple[str, int]]:
    """Return file and number of each line that the functions of these modules have."""
    found: list[tuple[str, int]] = []
    for module in modules:
        waiting = [compile(inspect.getsource(module), str(module.__file__), "exec")]
        while waiting:
            code = waiting.pop()
            waiting += [one for one in code.co_consts if isinstance(one, types.CodeType)]
            if code.co_flags & inspect.CO_OPTIMIZED:  # a function, and not the body of a module or a class
                found += [(code.co_filename, line) for _, _, line in code.co_lines() if line]
    return sorted(set(found))


def interrupted(lines: set[tuple[str, int]], call: Callable[[], Any]) -> Any:
    """Call, and raise before the first of these lines that this actor comes to; that line is removed then."""
    here = greenlet.getcurrent()
    files = {file for file, _ in lines}

    def at_line(frame: types.FrameType, event: str, argument: Any) -> Any:
        place = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and place in lines and greenlet.getcurrent() is here:
            lines.remove(place)
            raise Late
        return at_line

    def at_call(frame: types.FrameType, event: str, argument: Any) -> Any:
        return at_line if frame.f_code.co_filename in files and greenlet.getcurrent() is here else None

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        return call()
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def on_locks(world: World, report: Callable[[BaseException], None], yields: float | None = None) -> Iterator[Switch]:
    """Run threads of the package on actors, their locks and queues in the world.

    Args:
      world: decides.
      report: gets what `threading.excepthook` would.
      yields: see `Switch`.
    """
    switch = Switch(world, yields)
    before = sys.gettrace()

    def current_thread() -> SimThread:
        here = greenlet.getcurrent()
        if here not in _THREADS:
            _THREADS[here] = SimThread(world, name="program")
        return _THREADS[here]

    def start_new_thread(function: Callable[..., None], arguments: tuple[Any, ...]) -> int:
        if world.fails("no thread", 0.01):
            raise RuntimeError("can't start new thread")
        SimThread(world, lambda: function(*arguments), "thread").start()
        return 0

    modules: dict[Any, _Module] = {
        threading: _Module(
            threading,
            Lock=lambda: SimLock(switch),
            RLock=lambda: SimLock(switch, again=True),
            Thread=lambda **arguments: SimThread(world, **arguments),
            current_thread=current_thread,
            get_ident=lambda: id(greenlet.getcurrent()),
            excepthook=lambda arguments: report(arguments.exc_value),
        ),
        queue: _Module(queue, SimpleQueue=lambda: SimQueue(switch)),
        _thread: _Module(_thread, start_new_thread=start_new_thread),
    }
    changed = [
        (module, name, value)
        for key, module in list(sys.modules.items())
        if key.startswith("beam_s3box.")
        for name, value in vars(module).items()
        if isinstance(value, types.ModuleType) and value in modules
    ]
    for module, name, value in changed:
        setattr(module, name, modules[value])
    try:
        with replaced(world):
            yield switch
    finally:
        sys.settrace(before)
        world.end()  # while it is in place: those who wait are thrown an exception
        for module, name, value in changed:
            setattr(module, name, value)
        _THREADS.clear()
