"""A world on one thread: who goes next, what fails and what time it is are choices, by a seed or from a list.

Code of the package runs in actors. An actor goes on until it waits for something; then the choices say who is next. So
every interleaving of requests can happen, and happens again with the same choices.
"""

from __future__ import annotations

import collections
import hashlib
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import greenlet

from beam_s3box.system.outside import Outside

START: Final = 1_790_000_000.0
_MAX_STEPS: Final = 60_000
LOST_SECONDS: Final = 20.0
"""After which a runner gives the work of a silent worker to another one."""

_PACES: Final = (0.005, 0.2, 1.0)
"""Seconds that a request or a reply takes, in one world."""

_AT_MOST: Final = {"worker killed": 6, "worker asleep": 6, "commit lost": 6}
_AT_MOST_OTHERS: Final = 60
"""Of one kind of fault in one world, so that it ends."""

_WEIGHTS: Final = (1, 0, 4, 25)
"""How much more likely than usual each kind of fault is in one world: the worst schedules have much of few kinds."""


class HangsError(AssertionError):
    """Nobody can go on, or all go on for ever."""


class Choices:
    """Numbers that decide. 0 is always what does no harm.

    Args:
      seed: of a generator.
      given: the numbers themselves; 0 when they end.
    """

    def __init__(self, seed: int | None = None, given: Sequence[int] = ()) -> None:
        self._random = None if seed is None else random.Random(seed)
        self._given = given
        self.made: list[int] = []

    def below(self, limit: int) -> int:
        if self._random is not None:
            value = self._random.randrange(limit)
        else:
            value = self._given[len(self.made)] % limit if len(self.made) < len(self._given) else 0
        self.made.append(value)
        return value

    def happens(self, share: float) -> bool:
        """Return whether something of this likelihood happens."""
        return share > 0 and self.below(1_000) >= 1_000 * (1 - share)


class Actor:
    """A worker with a bundle, its threads, a request that is under way.

    Args:
      world: of the actor.
      name: for messages.
      function: what it does.
      process: the worker of which it is a thread; it stops and ends with it.
    """

    def __init__(self, world: World, name: str, function: Callable[[], Any], process: Actor | None) -> None:
        self.process: Actor = self if process is None else process
        self.name = name
        self.wake = world.now
        self.began = world.now
        self.ended = False
        self.is_dead = False
        self.can_freeze = False
        self.was_frozen = False
        self.asleep_until = 0.0
        self.result: Any = None
        self.error: Exception | None = None
        self._function = function
        # ends where all are started: else it would go on in whoever spawned it, and in its name
        self.greenlet = greenlet.greenlet(self._run, world._hub)

    @property
    def wakes(self) -> float:
        """When it goes on."""
        return max(self.wake, self.process.asleep_until)

    def _run(self) -> None:
        try:
            self.result = self._function()
        except Exception as exc:  # noqa: BLE001 - its runner looks at it
            self.error = exc
        self.ended = True


class World(Outside):
    """Time, chance and the actors.

    Args:
      choices: decide.
      trouble: how likely faults are; 0 for none, 1 for as likely as they are made to be.

    Attributes:
      pace: seconds that a request or a reply takes.
    """

    def __init__(self, choices: Choices, trouble: float = 1.0) -> None:
        self.choices = choices
        self.trouble = trouble
        self.now = START
        self.actors: list[Actor] = []
        self.everybody: list[Actor] = []
        self.faults: collections.Counter[str] = collections.Counter()
        self.steps = 0
        self._tokens = 0
        self._hub = greenlet.getcurrent()
        self._current: Actor | None = None
        self.is_over = False
        self.pace = _PACES[choices.below(len(_PACES))]
        self._weights: dict[str, int] = {}
        self._only: Collection[str] | None = None
        self._due: collections.Counter[str] = collections.Counter()

    # ------------------------------------------------------------ Outside

    def wall_seconds(self) -> float:
        return self.now

    def steady_seconds(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self._wait(seconds)

    def fraction(self) -> float:
        return self.choices.below(1_000) / 1_000

    def token(self) -> str:
        self._tokens += 1
        return hashlib.md5(b"%d" % self._tokens, usedforsecurity=False).hexdigest()

    # ------------------------------------------------------------ faults

    def fails(self, what: str, share: float) -> bool:
        """Return whether this fault happens now."""
        if self._due[what] and self._weights.get(what) != 0:
            self._due[what] -= 1
            self.faults[what] += 1
            return True
        if self._only is not None and what not in self._only:
            return False
        if not self.trouble or self.faults[what] >= _AT_MOST.get(what, _AT_MOST_OTHERS):
            return False
        if what not in self._weights:
            self._weights[what] = _WEIGHTS[self.choices.below(len(_WEIGHTS))]
        happens = self.choices.happens(min(0.5, share * self.trouble * self._weights[what]))
        if happens:
            self.faults[what] += 1
        return happens

    def next(self, what: str) -> None:
        """Let a kind of fault happen the next time that it can."""
        self._due[what] += 1

    def never(self, what: str) -> None:
        """Let a kind of fault not happen."""
        self._weights[what] = 0

    def only(self, kinds: Collection[str] | None) -> None:
        """Let no other kinds of faults happen from now on; None for all."""
        self._only = kinds

    # ------------------------------------------------------------ actors

    def spawn(self, name: str, function: Callable[[], Any], *, is_thread: bool = False) -> Actor:
        """Start an actor: a thread of the worker that asks for it, or one on its own."""
        process = self._current.process if is_thread and self._current is not None else None
        actor = Actor(self, name, function, process)
        self.actors.append(actor)
        self.everybody.append(actor)
        return actor

    @property
    def process(self) -> Actor | None:
        """The worker that is at work."""
        return None if self._current is None else self._current.process

    def pause(self, seconds: float = 0.0) -> None:
        """Let others go on, for these seconds at least: called wherever a request is sent or a reply comes."""
        if self.is_over:
            raise greenlet.GreenletExit
        actor = self._current
        if actor is None:
            self.now += 0.01
            return
        process = actor.process
        # one that wakes ends what it has in hand: a last request of a dead worker is what the protocol does not cover
        if process.can_freeze and not process.was_frozen and self.fails("worker killed", 0.002):
            process.is_dead = True
        elif process.can_freeze and self.fails("worker asleep", 0.004):
            process.was_frozen = True
            process.asleep_until = self.now + LOST_SECONDS * (1 + self.choices.below(8) / 2)
        self._wait(max(seconds, self.pace))

    def _wait(self, seconds: float) -> None:
        if self.is_over:
            raise greenlet.GreenletExit
        actor = self._current
        if actor is None:
            self.now += seconds
            return
        actor.wake = self.now + seconds
        self._hub.switch()
        if self.is_over:
            raise greenlet.GreenletExit

    def run(self, until: Callable[[], bool]) -> None:
        """Let the actors go on until this is true.

        Raises:
          HangsError: it never will be.
        """
        while not until():
            self.steps += 1
            if self.steps > _MAX_STEPS:
                raise HangsError(f"no end after {self.steps} steps, {len(self.actors)} actors, {dict(self.faults)}")
            if not self._step():
                raise HangsError("nobody can go on")

    def run_all(self) -> None:
        """Let all actors end, and those that sleep wake."""
        self.run(lambda: all(actor.ended or actor.process.is_dead for actor in self.actors))

    def run_awake(self) -> None:
        """Let all actors end but those that sleep."""
        self.run(
            lambda: all(
                actor.ended or actor.process.is_dead or actor.process.asleep_until > self.now for actor in self.actors
            )
        )

    def _step(self) -> bool:
        self.actors = [actor for actor in self.actors if not actor.ended and not actor.process.is_dead]
        if not self.actors:
            return False
        ready = [actor for actor in self.actors if actor.wakes <= self.now]
        if not ready:
            self.now = min(actor.wakes for actor in self.actors)
            ready = [actor for actor in self.actors if actor.wakes <= self.now]
        self._go_on(ready[self.choices.below(len(ready))] if len(ready) > 1 else ready[0])
        return True

    def _go_on(self, actor: Actor) -> None:
        self._current = actor
        actor.greenlet.switch()
        self._current = None
        self.now += 0.001

    def end(self) -> None:
        """Let nobody wake any more. A greenlet that waits is in nobody's reach, and would keep its world in memory."""
        self.is_over = True
        for actor in self.everybody:
            if not actor.greenlet.dead:
                actor.greenlet.throw()
