"""A set of many keys in little memory."""

from __future__ import annotations

import array
import bisect
import hashlib

_DIGEST_BYTES = 8


class KeySet:
    """A set of keys that takes 8 bytes for each. It may contain a key that was not added, with a chance of 1 in 2**40.

    So it is for keys that must be kept: an accident keeps one more.
    """

    def __init__(self) -> None:
        self._digests = array.array("Q")
        self._is_sorted = True

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, key: str) -> None:
        """Add a key; one that was added before may take its place again."""
        self._digests.append(_digest(key))
        self._is_sorted = False

    def __contains__(self, key: str) -> bool:
        self._sort()
        digest = _digest(key)
        place = bisect.bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest

    def _sort(self) -> None:
        if not self._is_sorted:
            self._digests = array.array("Q", sorted(self._digests))
            self._is_sorted = True


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8"), digest_size=_DIGEST_BYTES).digest(), "big")
