"""Threads that run tasks, and a way to wait for changes; both work after a signal handler raised, and after a fork.

`concurrent.futures` takes locks in Python code: an exception that a signal handler raises there leaves a lock held for
ever, and its threads hang. It also refuses tasks once the main thread has ended, and its pools have no threads in a
forked process. Here the calling thread makes single calls into C: such an exception comes before or after them.
"""

from __future__ import annotations

import _thread
import collections
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, Protocol, TypeVar

from beam_s3box.errors import S3BoxError
from beam_s3box.system.forks import renew_in_children

T = TypeVar("T")
Item = TypeVar("Item")
T_co = TypeVar("T_co", covariant=True)

_IDLE_SECONDS: Final = 1.0


class Pending(Protocol[T_co]):
    """The future result of a task; a `concurrent.futures.Future` is one, too."""

    def done(self) -> bool:
        """Return whether the task has ended or was cancelled."""
        ...

    def result(self) -> T_co:
        """Wait for the end; return what the task returned, or raise what it raised."""
        ...

    def cancel(self) -> bool:
        """Cancel the task; return False if it has started already."""
        ...


class Executor(Protocol):
    """Runs tasks; a `concurrent.futures.Executor` is one, too."""

    def submit(self, function: Callable[..., T], /, *arguments: Any) -> Pending[T]:
        """Run a function on one of the threads."""
        ...


class Task(Generic[T]):
    """One call of a function, made by the first thread that claims it.

    What is not an Exception, such as SystemExit or asyncio.CancelledError, is raised as an S3BoxError: it is an error
    of this task, and not of the thread that asks for the result.
    """

    def __init__(self, function: Callable[..., T], arguments: tuple[Any, ...], wake: Callable[[], None]) -> None:
        self._function = function
        self._arguments = arguments
        self._wake = wake
        self._process = os.getpid()
        self._claim = threading.Lock()
        self._running = threading.Lock()
        self._running.acquire()
        self._is_done = False
        self._error: BaseException | None = None
        self._value: T

    def run(self) -> None:
        """Make the call, unless another thread has started it."""
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._value = self._function(*self._arguments)
        except BaseException as exc:  # noqa: BLE001 - `result` raises it
            self._error = as_error(exc)
        finally:
            self._end()

    def cancel(self) -> bool:
        """Cancel the call; return False if it has started already."""
        if not self._claim.acquire(blocking=False):
            return False
        self._error = S3BoxError("the task was cancelled before it started")
        self._end()
        return True

    def done(self) -> bool:
        """Return whether the call has ended or was cancelled."""
        return self._is_done

    def wait(self) -> None:
        """Wait until the call has ended."""
        if self._is_done:
            return
        if self._process != os.getpid():
            raise S3BoxError(f"the task belongs to process {self._process}, of which this one is a fork")
        self._wake()
        with self._running:
            pass

    def result(self) -> T:
        """Wait for the end; return what the call returned, or raise what it raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value

    def _end(self) -> None:
        # the arguments may be large, and it may take long until the result is asked for
        self._arguments = ()
        self._is_done = True
        self._running.release()


class Threads:
    """A few threads that run tasks, oldest first.

    They start when there are tasks, and end when there have been none for a while; they are daemon threads. A forked
    process has its own threads; earlier tasks belong to the parent. If there is no thread and none can be started,
    because the system refuses or the interpreter is shutting down, the caller runs the tasks.

    Args:
      size: maximum number of threads.
      name: the name of the threads.
      idle_seconds: time after which a thread without a task ends.
    """

    def __init__(self, size: int, name: str, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._size = size
        self._name = name
        self._idle_seconds = idle_seconds
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Start without threads and tasks."""
        self._tasks: queue.SimpleQueue[Task[Any]] = queue.SimpleQueue()
        # both are only appended to and popped from, which is atomic; a thread pops its place itself, so that an
        # exception in the caller loses none. `_starting` only keeps `submit` from starting more threads than it needs
        self._places: list[None] = [None] * self._size
        self._starting: list[None] = []

    def submit(self, function: Callable[..., T], /, *arguments: Any) -> Task[T]:
        """Run a function on one of the threads."""
        task = Task(function, arguments, self.wake)
        self._tasks.put(task)
        if len(self._starting) < len(self._places):
            self._start()
        return task

    def map(self, function: Callable[[Item], T], items: Iterable[Item]) -> Iterator[T]:
        """Yield what the function returns for each item, in order.

        After an error, or when the caller stops iterating, calls that have not started are cancelled.
        """
        tasks = [self.submit(function, item) for item in items]
        tasks.reverse()
        try:
            while tasks:
                yield tasks.pop().result()
        finally:
            for task in tasks:
                task.cancel()

    def map_ahead(self, function: Callable[[Item], T], items: Iterable[Item], ahead: int) -> Iterator[T]:
        """Yield what the function returns for each item, in order, with at most `ahead` calls started before."""
        tasks: collections.deque[Task[T]] = collections.deque()
        try:
            for item in items:
                tasks.append(self.submit(function, item))
                if len(tasks) > ahead:
                    yield tasks.popleft().result()
            while tasks:
                yield tasks.popleft().result()
        finally:
            for task in tasks:
                task.cancel()

    def wake(self) -> None:
        """Make sure that waiting tasks are run: an interrupted call may not have started a thread for them.

        A thread that has a place looks at the tasks when it has given it back, so they need another one only if there
        is a place. What other calls say that they start does not count: they may be interrupted.
        """
        self._starting.clear()
        if self._places and not self._tasks.empty():
            self._start()

    def _start(self) -> None:
        """Start one more thread."""
        self._starting.append(None)
        try:
            start_thread(self._work, self._name)
        except RuntimeError:
            self._starting.clear()
            if len(self._places) == self._size:
                self._run_here()

    def _run_here(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            task.run()

    def _work(self) -> None:
        with contextlib.suppress(IndexError):
            self._starting.pop()
        while True:
            try:
                place = self._places.pop()
            except IndexError:
                return
            try:
                while True:
                    task = self._tasks.get(timeout=self._idle_seconds)
                    task.run()
                    del task
            except queue.Empty:
                pass
            finally:
                self._places.append(place)
            # a task that was submitted in between found no place for a thread
            if self._tasks.empty():
                return


def start_thread(function: Callable[[], None], name: str) -> None:
    """Call a function on a new daemon thread.

    It does not use `Thread.start`, which waits with a lock in Python code, and turns an exception of a signal handler
    into a KeyError.

    Raises:
      RuntimeError: the system refuses.
    """
    _thread.start_new_thread(_call_named, (function, name))


def _call_named(function: Callable[[], None], name: str) -> None:
    try:
        # a thread with a name, which `threading` removes when it ends
        threading.Thread(target=function, name=name, daemon=True).start()
    except RuntimeError:
        function()


class Bell:
    """Wakes all threads that wait for a change.

    Take a waiter, check whether there is anything to wait for, and only then acquire it: a change in between releases
    it.
    """

    def __init__(self) -> None:
        self._waiters: list[threading.Lock] = []

    def waiter(self) -> threading.Lock:
        """Return a lock that the next change releases."""
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append(waiter)
        return waiter

    def ring(self) -> None:
        """Wake all threads that wait."""
        while self._waiters:
            try:
                waiter = self._waiters.pop()
            except IndexError:
                return
            waiter.release()


def as_error(error: BaseException) -> BaseException:
    """Return the error that is raised in another thread for an error of a task: always an Exception or an interrupt."""
    if isinstance(error, Exception | KeyboardInterrupt):
        return error
    wrapped = S3BoxError(f"a task ended with {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
