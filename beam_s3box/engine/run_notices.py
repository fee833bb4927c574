"""What an unbounded run and those who watch it leave each other in the store: a mark to stop, and signs of life."""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections.abc import Callable
from typing import Final

import orjson

from beam_s3box.engine.run_record import moment_text
from beam_s3box.errors import AccessError, ObjectNotFoundError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store

STOP_SECONDS: Final = 5.0
"""Between two looks for the mark, of one process."""

ALIVE_SECONDS: Final = 60.0
"""Between two signs of life of one process."""

_TOKEN_CHARACTERS: Final = 12


class RunNotices:
    """Asks for the mark to stop, and gives signs of life; it is pickled with the steps that read.

    A role that may not list gets a refusal where there is no mark, so that counts as none.

    Args:
      store: where the run writes.
      layout: of the run.
    """

    def __init__(self, store: Store, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    def is_stop_asked(self) -> bool:
        """Return whether the run shall end, as of some seconds ago; also give a sign of life when one is due.

        Raises:
          StoreError: the store failed, after its retries.
        """
        return _polled(self._store.root, self._layout.run_id).is_stop_asked(self._store, self._layout)


def ask_to_stop(store: Store, layout: Layout) -> None:
    """Leave the mark that asks a run to stop; doing it again changes nothing.

    Raises:
      StoreError: the store refused or failed.
    """
    _put(store, layout.stop, {"asked": moment_text(time.time())})


class Polled:
    """What a process knows of a run. Safe for use by many threads, of which one at a time asks the store.

    Args:
      clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asking = threading.Lock()
        self._is_asked = False
        self._next_look = self._next_sign = clock()
        self._token = new_token(_TOKEN_CHARACTERS)

    def is_stop_asked(self, store: Store, layout: Layout) -> bool:
        """Return whether the run shall end."""
        if self._clock() >= self._next_look and self._asking.acquire(blocking=False):
            try:
                self._ask(store, layout)
            finally:
                self._asking.release()
        return self._is_asked

    def _ask(self, store: Store, layout: Layout) -> None:
        self._next_look = self._clock() + STOP_SECONDS
        try:
            store.get(layout.stop)
            self._is_asked = True
        except (ObjectNotFoundError, AccessError):
            pass
        if self._clock() >= self._next_sign:
            self._next_sign = self._clock() + ALIVE_SECONDS
            _put(store, layout.alive(self._token), {"alive": moment_text(time.time())})


@functools.cache
def _polled(root: str, run_id: str) -> Polled:
    return Polled()


def _put(store: Store, key: str, values: dict[str, str]) -> None:
    body = orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/json", replace=True)
