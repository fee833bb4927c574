"""Tries writes and deletions that depend on what is there, one after the other and from many threads at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final

from beam_s3box.errors import ObjectChangedError, ObjectExistsError, S3BoxError
from beam_s3box.runs.doctor.findings import Finding, fails, holds
from beam_s3box.runs.doctor.folder import Folder, put
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

RACERS: Final = 16
"""Writers of one key at the same time."""

ROUNDS: Final = 5
"""Races: a server that checks first and writes then loses most of them."""

_READY_SECONDS: Final = 5.0
_REFUSED: Final = (ObjectExistsError, ObjectChangedError)


def create_only(name: str, folder: Folder, store: Store) -> Finding:
    """Write an object twice; the second one must be refused, and change nothing."""
    key = folder.key()
    put(store, key, b"first")
    try:
        put(store, key, b"second")
    except ObjectExistsError:
        pass
    else:
        return fails(name, "a second write that must not replace the first was accepted")
    if store.get(key) != b"first":
        return fails(name, "a second write was refused, and replaced the first all the same")
    return holds(name, "a second write is refused")


def create_only_racing(name: str, folder: Folder, store: Store) -> Finding:
    """Let many threads create the same object at the same time; one must succeed, and its bytes must be there."""

    def race() -> str:
        key = folder.key()
        return _race(lambda body: put(store, key, body), lambda: store.get(key))

    return _races(name, race, "one of many writers at the same time succeeds")


def replace_if_match(name: str, folder: Folder, store: Store) -> Finding:
    """Replace an object by its ETag, and by one that it no longer has, and one that does not exist."""
    key = folder.key()
    put(store, key, b"first", replace=True)
    first = store.stat(key).etag
    put(store, key, b"second", replace=True, if_match=first)
    if store.get(key) != b"second":
        return fails(name, "a write by the right ETag was accepted, and changed nothing")
    if not _is_refused(lambda: put(store, key, b"third", replace=True, if_match=first)):
        return fails(name, "a write by the ETag of an earlier version was accepted")
    if store.get(key) != b"second":
        return fails(
            name, "a write by the ETag of an earlier version was refused, and replaced the object all the same"
        )
    missing = folder.key()
    if not _is_refused(lambda: put(store, missing, b"third", replace=True, if_match=first)):
        return fails(name, "a write by ETag to a key without an object was accepted")
    return holds(name, "a write by the ETag of an earlier version is refused")


def replace_if_match_racing(name: str, folder: Folder, store: Store) -> Finding:
    """Let many threads replace the same version at the same time; one must succeed, and its bytes must be there."""
    key = folder.key()
    put(store, key, b"begin", replace=True)

    def race() -> str:
        etag = store.stat(key).etag
        return _race(lambda body: put(store, key, body, replace=True, if_match=etag), lambda: store.get(key))

    return _races(name, race, "one of many writers at the same time succeeds")


def delete_if_match(name: str, folder: Folder, store: Store) -> Finding:
    """Delete an object by the ETag of an earlier version, and by its own."""
    key = folder.key()
    put(store, key, b"first", replace=True)
    first = store.stat(key).etag
    put(store, key, b"second", replace=True)
    if not _is_refused(lambda: store.delete(key, if_match=first)):
        return fails(name, "a deletion by the ETag of an earlier version was accepted")
    if store.get(key) != b"second":
        return fails(name, "a deletion by the ETag of an earlier version was refused, and the object is gone")
    store.delete(key, if_match=store.stat(key).etag)
    if any(store.list(key)):
        return fails(name, "a deletion by the right ETag was accepted, and the object is still there")
    return holds(name, "a deletion by the ETag of an earlier version is refused")


def _is_refused(action: Callable[[], object]) -> bool:
    try:
        action()
    except _REFUSED:
        return True
    return False


def _races(name: str, race: Callable[[], str], seen: str) -> Finding:
    for number in range(1, ROUNDS + 1):
        fault = race()
        if fault:
            return fails(name, f"in race {number} of {ROUNDS}, {fault}")
    return holds(name, f"{seen}: {ROUNDS} races of {RACERS}")


def _race(write: Callable[[bytes], object], read: Callable[[], bytes]) -> str:
    """Let threads write at the same time; return what is wrong, or nothing."""
    token = new_token().encode("ascii")
    threads, ready = Threads(RACERS, "beam_s3box-doctor"), threading.Barrier(RACERS)

    def attempt(number: int) -> bytes | S3BoxError:
        # another text in each race: an equal one would have the ETag of the version that it replaces
        body = b"by %d, %b" % (number, token)
        with contextlib.suppress(threading.BrokenBarrierError):  # there may be fewer threads
            ready.wait(_READY_SECONDS)
        try:
            write(body)
        except S3BoxError as exc:
            return exc
        return body

    outcomes = [task.result() for task in [threads.submit(attempt, number) for number in range(RACERS)]]
    winners = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    errors = [one for one in outcomes if isinstance(one, S3BoxError) and not isinstance(one, _REFUSED)]
    if errors:
        raise errors[0]
    if len(winners) != 1:
        return f"{len(winners)} of {RACERS} writers succeeded, not one"
    return "" if read() == winners[0] else "another writer's bytes are there than those of the one that succeeded"
