"""What a compaction's manifest replaces. It counts as long as these manifests are as the compaction found them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

from beam_s3box.engine.manifests import Replaced
from beam_s3box.errors import LoadError, ObjectNotFoundError
from beam_s3box.system.threads import Threads

if TYPE_CHECKING:
    from beam_s3box.redshift.manifests import ListedManifest

_READERS: Final = 8
_MAX_DEPTH: Final = 20
"""Compactions of compactions that are followed; each joins what the one before has left."""

_SCHEME = re.compile(r"[a-z][a-z0-9]*://")


class ReplacedReader:
    """Reads what manifests replace.

    Args:
      read: reads a manifest that has this digest, given how many compactions are above it.
      depth: compactions above the manifests that are read.
    """

    def __init__(self, read: Callable[[Replaced, int], ListedManifest], depth: int) -> None:
        self._read = read
        self._depth = depth

    def of(self, listed: ListedManifest, body: bytes) -> tuple[ListedManifest, ...]:
        """Return the manifests that a manifest replaces, none if it is not one of a compaction.

        Args:
          listed: the manifest.
          body: its text.

        Raises:
          LoadError: its text is invalid, or one of the others was written again or removed since.
          StoreError: one of them can't be read.
        """
        rows = _rows(listed.url, body)
        if not rows:
            return ()
        if self._depth >= _MAX_DEPTH:
            raise LoadError(
                f"{listed.url} replaces manifests of {_MAX_DEPTH} compactions of each other, which is too deep"
            )
        total = sum(row.records for row in rows)
        if total != listed.records:
            raise LoadError(
                f"{listed.url} lists {listed.records} records, and replaces manifests with {total}: another program "
                "changed it; load those that it replaces"
            )
        threads = Threads(_READERS, "beam_s3box-replaced")
        return tuple(threads.map(lambda row: self._one(listed.url, row), rows))

    def _one(self, url: str, row: Replaced) -> ListedManifest:
        try:
            return self._read(row, self._depth + 1)
        except (ObjectNotFoundError, FileNotFoundError, LookupError) as exc:
            raise _outdated(url, row.url, "was removed") from exc


def check_unchanged(by: str, row: Replaced, sha256: str) -> None:
    """Raise LoadError if a manifest has another digest than it had when it was replaced."""
    if sha256 != row.sha256:
        raise _outdated(by, row.url, "was written again")


def _outdated(by: str, url: str, what: str) -> LoadError:
    return LoadError(
        f"{by} does not count any more: it replaces {url}, which {what} since, as after a failure of its runner: load "
        "the manifests of that run, and compact it again"
    )


def _rows(url: str, body: bytes) -> list[Replaced]:
    if b'"replaces"' not in body:
        return []
    rows: Any = orjson.loads(body).get("replaces", [])
    try:
        return [_row(url, row) for row in rows]
    except (KeyError, TypeError) as exc:
        raise LoadError(f'{url} has "replaces" that are not manifests with URL, digest and records') from exc


def _row(url: str, row: Any) -> Replaced:
    found = Replaced(row["url"], row["sha256"], row["records"])
    own, other = _SCHEME.match(url), _SCHEME.match(found.url)
    # a manifest on S3 must not make its reader open local files
    if (own and own[0]) != (other and other[0]) or not isinstance(found.records, int):
        raise TypeError
    return found
