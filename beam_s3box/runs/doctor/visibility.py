"""Tries whether what was written is seen: at once, as it was written, and at the right time."""

from __future__ import annotations

import time
from typing import Final

from beam_s3box.runs.doctor.findings import Finding, fails, holds
from beam_s3box.runs.doctor.folder import Folder, put
from beam_s3box.stores import Store

ROUNDS: Final = 10
MAX_SKEW_SECONDS: Final = 60.0
"""The clock of a machine that is set by NTP is right to a second."""

_ODD_NAMES: Final = ("a b", "ä-ß-漢", "p%41ct+plus&and=is", "dot.", "~'(!)*")


def read_after_write(name: str, folder: Folder, store: Store) -> Finding:
    """Read and look up each object right after it was written, replaced and deleted."""
    for number in range(ROUNDS):
        key, body = folder.key(), b"first %d" % number
        put(store, key, body, replace=True)
        if store.get(key) != body or store.stat(key).size != len(body):
            return fails(name, "an object was not there, or not as it was written, right after it was written")
        body = b"the second %d" % number
        put(store, key, body, replace=True)
        if store.get(key) != body or store.stat(key).size != len(body):
            return fails(name, "an earlier version was read right after it was replaced")
    return holds(name, f"{ROUNDS} objects were read right after they were written and replaced")


def list_after_write(name: str, folder: Folder, store: Store) -> Finding:
    """List right after an object was written, replaced and deleted."""
    for number in range(ROUNDS):
        key = folder.key("listed")
        put(store, key, b"first", replace=True)
        if [info.key for info in store.list(key)] != [key]:
            return fails(name, "an object was not listed right after it was written")
        put(store, key, b"second %d" % number, replace=True)
        if [info.size for info in store.list(key)] != [len(b"second %d" % number)]:
            return fails(name, "an earlier version was listed right after it was replaced")
        store.delete(key)
        if any(store.list(key)):
            return fails(name, "an object was listed right after it was deleted")
    return holds(name, f"{ROUNDS} objects were listed right after they were written, and not after they were deleted")


def etags(name: str, folder: Folder, store: Store) -> Finding:
    """Compare the ETags of two versions, in listings and in lookups."""
    key = folder.key()
    put(store, key, b"first", replace=True)
    first = store.stat(key).etag
    put(store, key, b"2econ", replace=True)
    second, listed = store.stat(key).etag, [info.etag for info in store.list(key)]
    if not first or first == second:
        return fails(name, f"two versions of equal size have the same ETag, {first!r}")
    if any(other not in ("", second) for other in listed):
        return fails(name, f"a listing has the ETag {listed[0]!r}, and a lookup {second!r}")
    return holds(name, "each version has its own ETag")


def metadata(name: str, folder: Folder, store: Store) -> Finding:
    """See whether the SHA-256 that an object was written with is kept."""
    key = folder.key()
    put(store, key, b"kept", replace=True)
    if store.stat(key).sha256 is None:
        return fails(name, "the SHA-256 in an object's metadata is not kept, so readers can't compare it")
    return holds(name, "the SHA-256 in an object's metadata is kept")


def odd_keys(name: str, folder: Folder, store: Store) -> Finding:
    """Write, list and read keys with characters that URLs escape."""
    for odd in _ODD_NAMES:
        key = folder.key(odd)
        put(store, key, odd.encode(), replace=True)
        if store.get(key) != odd.encode():
            return fails(name, f"an object whose name has {odd!r} is read as another one")
        if key not in [info.key for info in store.list(folder.prefix)]:
            return fails(name, f"an object whose name has {odd!r} is listed under another name")
    return holds(name, "names with spaces, accents and signs are kept")


def clock(name: str, folder: Folder, store: Store) -> Finding:
    """Compare the store's clock with the times of objects, and with this machine's clock."""
    key, before = folder.key(), store.now()
    put(store, key, b"now", replace=True)
    modified, after = store.stat(key).modified, store.now()
    slack = store.clock_resolution
    if not before - slack <= modified <= after + slack:
        behind = before - modified if modified < before else modified - after
        return fails(name, f"the time of an object is {behind:.1f} s from the server's clock when it was written")
    skew = time.time() - store.now()
    if abs(skew) > MAX_SKEW_SECONDS:
        return fails(name, f"this machine's clock is {_apart(skew)} the server's: set it")
    return holds(name, f"objects have the server's time; this machine's clock is {_apart(skew)} it")


def _apart(skew: float) -> str:
    if abs(skew) < 1:
        return "within a second of"
    return f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'}"
