"""Whether a manifest counts: those of a bounded run do when the run's record says so, and lists just this text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import AccessError, LoadError, ObjectNotFoundError

_FOLDER: Final = "/manifests/"
_PLACE = re.compile(r"(?P<run_id>[^/]+)/(?:.*/)?(?:\d{8,}-)?\d{5,}\.manifest", re.ASCII | re.DOTALL)


class Commits:
    """Asks the records of runs, each once.

    Args:
      fetch: returns the bytes behind a URL.
    """

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self._fetch = fetch
        self._records: dict[str, RunRecord | None] = {}

    def check(self, url: str, sha256: str) -> None:
        """Raise LoadError for a manifest that does not count.

        One that no run of ours wrote, or that no record is next to, is its owner's affair.

        Args:
          url: of the manifest.
          sha256: of its text, hexadecimal.

        Raises:
          LoadError: the run has not finished, failed, or finished with other manifests.
          AccessError: the record can't be read.
        """
        for root, run_id in _places(url):
            record = self._record(f"{root}/runs/{run_id}.json")
            if record is not None:
                _check(record, url, url.removeprefix(f"{root}/"), sha256)
                return

    def _record(self, url: str) -> RunRecord | None:
        if url not in self._records:
            try:
                self._records[url] = RunRecord.parse(url, self._fetch(url))
            except (ObjectNotFoundError, FileNotFoundError, LookupError):
                self._records[url] = None
            except AccessError as exc:
                raise AccessError(
                    f"{url} can't be read, so it is not known whether the run's manifests count: allow s3:GetObject on "
                    f"it ({exc})"
                ) from exc
        return self._records[url]


def _places(url: str) -> Iterator[tuple[str, str]]:
    """Yield root and run id wherever the URL may be a run's manifest; a domain may be called `manifests`, too."""
    start = url.find(_FOLDER)
    while start >= 0:
        match = _PLACE.fullmatch(url, start + len(_FOLDER))
        # a bucket may be called so as well
        if match and not url[:start].endswith(":/"):
            yield url[:start], match["run_id"]
        start = url.find(_FOLDER, start + 1)


def _check(record: RunRecord, url: str, key: str, sha256: str) -> None:
    if not record.bounded:
        return  # its manifests count as soon as they are written
    if record.state == "running":
        raise LoadError(
            f"{url} does not count yet: run {record.run_id}, begun at {record.began}, has not finished; load it when "
            "its record says so. If it was stopped, begin it again under its run_id"
        )
    if record.state == "failed":
        raise LoadError(
            f"{url} does not count: run {record.run_id} failed at {record.ended} ({record.error}); begin it again "
            "under its run_id, or a new one"
        )
    listed = record.digests.get(key)
    if listed is None:
        raise LoadError(f"{url} does not count: it is none of the manifests that run {record.run_id} finished with")
    if listed != sha256:
        raise LoadError(
            f"{url} is not the text that run {record.run_id} finished with: work of that run is being done again; load "
            "it when the run has finished once more"
        )
