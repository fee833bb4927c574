"""Signs of life of an unbounded run, and the fence that keeps a run that was declared dead from listing anything.

Nobody sees from outside whether a run without an end still works, so each of its processes says so in an object of its
own, `runs/{run_id}/alive/{token}`. Whoever removes what a dead run left does it in this order:

1. The record says `running`, and neither the record nor a sign of life (`last_sign`) was written for a long time, by
   the clock of the store (`Store.now`).
2. Mark it as failed: `RunClaim(run.layout, record.attempt, bounded=False).fail(store, error)`, under the ETag.
3. Wait `FENCE_SECONDS`. A process writes no manifest unless it has seen the record within `CHECK_SECONDS` before, so
   each one has seen by then that the run has failed, and raises.
4. Read the manifests, which nobody adds to any more, and remove shards that none of them lists, unless the record
   says that such shards may be data (`RunRecord.may_have_unlisted_data`).

What the run listed before stays valid, and is not removed. A pipeline that is started again from a checkpoint of the
run fails with RunExistsError: it needs a new run id. A bounded run needs no signs: one that was marked as failed can't
finish, and what it wrote does not count.

Not covered: a process that stops between its check and its write for longer than the wait; one that may not read the
record (s3:GetObject), where nobody chose the run id.
"""

from __future__ import annotations

import functools
import hashlib
import os
from typing import Final

from beam_s3box.engine.claims import RunClaim
from beam_s3box.errors import AccessError, ObjectNotFoundError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_origin
from beam_s3box.stores import Store
from beam_s3box.system.outside import steady_seconds

CHECK_SECONDS: Final = 120.0
"""How often a process reads the record and gives a sign of life, at most."""

FENCE_SECONDS: Final = 900.0
"""How long to wait after a run was marked as failed: a check, and the slowest bundle that began right after it."""

_CONTENT_TYPE: Final = "text/plain"
_SHOWN: dict[tuple[str, str, str], float] = {}
"""When this process last gave a sign, by root, run id and attempt."""


def show_life(store: Store, claim: RunClaim) -> None:
    """Give a sign of life of this process, unless it gave one within `CHECK_SECONDS`; call it as often as you like.

    Sources may call it whenever they look for new input, so that a stream without records counts as alive.

    Args:
      store: the destination.
      claim: of an unbounded run; there is nothing to do for others.

    Raises:
      RunExistsError: the run was marked as failed, or its id belongs to another execution: it must not write manifests.
      StoreError: the store refused or failed, after its retries.
    """
    if claim.bounded:
        return
    key = (store.root, claim.layout.run_id, claim.attempt)
    now = steady_seconds()
    if now - _SHOWN.get(key, -CHECK_SECONDS) < CHECK_SECONDS:
        return
    try:
        claim.check_held(store)
    except ObjectNotFoundError:
        claim.take(store)  # somebody removed it, as a rule of the bucket may do with all that is old
    except AccessError:
        if claim.named:
            raise
    _put(store, claim.layout.alive(_token(os.getpid())))
    _SHOWN[key] = now


def last_sign(store: Store, layout: Layout) -> float | None:
    """Return when a process of the run gave its last sign of life, by the clock of the store; None if none ever did.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    return max((info.modified for info in store.list(layout.alive_folder)), default=None)


def _put(store: Store, key: str) -> None:
    body = f"{store.now():.0f}\n".encode()  # another text each time: a store may keep the time of equal bytes
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type=_CONTENT_TYPE, replace=True)


@functools.cache
def _token(process: int) -> str:
    """Return the name of this process; a forked one has another."""
    return new_origin()
