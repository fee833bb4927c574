"""The mark that asks an unbounded run to end, in the store, where every source of the run looks for it."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable
from typing import Final

import orjson

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_record import RunRecord, moment_text
from beam_s3box.engine.signs_of_life import CHECK_SECONDS, show_life
from beam_s3box.errors import AccessError, ObjectNotFoundError
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import Store
from beam_s3box.system.outside import steady_seconds, wall_seconds

STOP_SECONDS: Final = 5.0
"""Between two looks for the mark, of one process."""


class RunNotices:
    """Looks for the mark, and gives signs of life; it is pickled with the steps that read.

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
          RunExistsError: the run was marked as failed: nothing that is read now would be listed.
          StoreError: the store failed, after its retries.
        """
        return _polled(self._store.root, self._layout.run_id).is_stop_asked(self._store, self._layout)


def ask_to_stop(store: Store, layout: Layout) -> None:
    """Leave the mark that asks a run to end; doing it again changes nothing.

    Raises:
      StoreError: the store refused or failed.
    """
    body = orjson.dumps({"asked": moment_text(wall_seconds())}, option=orjson.OPT_APPEND_NEWLINE)
    digest = hashlib.sha256(body).hexdigest()
    store.put(layout.stop, body, sha256=digest, content_type="application/json", replace=True)
    # sources in this process need not wait for their next look
    _polled(store.root, layout.run_id).note()


class Polled:
    """What a process knows of a run. Safe for use by many threads, of which one at a time asks the store.

    Args:
      clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = steady_seconds) -> None:
        self._clock = clock
        self._asking = threading.Lock()
        self._is_asked = False
        self._next_look = self._next_sign = clock()

    def note(self) -> None:
        """Take note that the run shall end."""
        self._is_asked = True

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
        if self._clock() >= self._next_sign and _show_life(store, layout):
            self._next_sign = self._clock() + CHECK_SECONDS


@functools.cache
def _polled(root: str, run_id: str) -> Polled:
    return Polled()


def _show_life(store: Store, layout: Layout) -> bool:
    """Give a sign of life; return False if the run has no record yet, and True if nobody may read it."""
    try:
        record = RunRecord.parse(store.url(layout.run), store.get(layout.run))
    except ObjectNotFoundError:
        return False
    except AccessError:
        return True
    show_life(store, RunClaim(layout, record.attempt, bounded=record.bounded))
    return True
