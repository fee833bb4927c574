"""Which files were found before: a few bytes for each, forgotten when the file has been gone for long enough."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from beam_s3box.jobs.options.windows import MICROS

_DIGEST_BYTES: Final = 16
"""So many that two paths never share a digest: a file whose digest is known is not read."""

_TIME_BYTES: Final = 8
_GONE_BYTES: Final = _DIGEST_BYTES + _TIME_BYTES


class FileMemory(NamedTuple):
    """What is known of files after a look; plain values, as a runner keeps them from one look to the next.

    A file is identified by its path. It is remembered as long as it exists, however old: so none is read twice, and
    none is taken for one that was read. One that is gone is remembered for a while, as a listing may miss it for a
    moment; what has its path after that is another file.

    Attributes:
      at: when the look was, in microseconds since 1970; never before that of an earlier look, though a clock was set
        back or another worker's is behind.
      there: digests of the paths that were listed, joined in their order.
      gone: digests of those listed earlier, each with the time of the first look that missed it.
    """

    at: int
    there: bytes = b""
    gone: bytes = b""

    def after(self, paths: Iterable[str], now: float, forget_after: float) -> tuple[list[str], FileMemory]:
        """Return the paths that are new, and what is known after this look.

        Args:
          paths: of the files that exist.
          now: seconds since 1970.
          forget_after: seconds that a path is remembered after its file has gone.
        """
        at = max(self.at, int(now * MICROS))
        digests = {_digest(path): path for path in sorted(paths)}
        there = b"".join(digests)
        if there == self.there and not self.gone:
            return [], self._replace(at=at)
        known = set(_split(self.there, _DIGEST_BYTES))
        oldest = at - int(forget_after * MICROS)
        entries = (entry for entry in _split(self.gone, _GONE_BYTES) if _time_of(entry) > oldest)
        gone = {entry[:_DIGEST_BYTES]: entry for entry in entries}
        new = [path for digest, path in digests.items() if digest not in known and digest not in gone]
        still_gone = [entry for digest, entry in gone.items() if digest not in digests]
        missed = [digest + at.to_bytes(_TIME_BYTES, "big") for digest in sorted(known - digests.keys())]
        return new, FileMemory(at, there, b"".join([*still_gone, *missed]))


def _digest(path: str) -> bytes:
    # a path may hold bytes that are no UTF-8
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES).digest()


def _split(joined: bytes, length: int) -> list[bytes]:
    return [joined[start : start + length] for start in range(0, len(joined), length)]


def _time_of(gone: bytes) -> int:
    return int.from_bytes(gone[_DIGEST_BYTES:], "big")
