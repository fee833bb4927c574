"""Whether a manifest counts: one of a bounded run counts if the run's record is finished, and lists its digest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import AccessError, LoadError, ObjectNotFoundError

_FOLDER: Final = "/manifests/"
_PLACE = re.compile(r"(?P<run_id>[^/]+)/(?:.*/)?(?:\d{8,}-)?\d{5,}\.manifest", re.ASCII | re.DOTALL)


class Commits:
    """Reads the records of runs, each once.

    Args:
      fetch: returns the bytes behind a URL.
    """

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self._fetch = fetch
        self._records: dict[str, RunRecord | None] = {}

    def check(self, url: str, sha256: str) -> None:
        """Raise LoadError for a manifest that does not count.

        A manifest without a run's record counts: its owner knows.

        Args:
          url: of the manifest.
          sha256: of its text, hexadecimal.

        Raises:
          LoadError: the run has not finished, failed, or finished with other manifests.
          AccessError: the record can't be read without permission.
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
                    f"{url} can't be read, so it is unknown whether its run's manifests count: allow s3:GetObject "
                    f"on it ({exc})"
                ) from exc
        return self._records[url]


def _places(url: str) -> Iterator[tuple[str, str]]:
    """Yield root and run id wherever the URL may be a run's manifest; a domain may be named `manifests` too."""
    start = url.find(_FOLDER)
    while start >= 0:
        match = _PLACE.fullmatch(url, start + len(_FOLDER))
        # a bucket may have that name as well
        if match and not url[:start].endswith(":/"):
            yield url[:start], match["run_id"]
        start = url.find(_FOLDER, start + 1)


def _check(record: RunRecord, url: str, key: str, sha256: str) -> None:
    if not record.bounded:
        return  # its manifests count as soon as they are written
    if record.state == "running":
        raise LoadError(
            f"{url} does not count yet: run {record.run_id}, started at {record.began}, has not finished; load it when "
            "it has. If it was stopped, start it again with the same run_id"
        )
    if record.state == "failed":
        raise LoadError(
            f"{url} does not count: run {record.run_id} failed at {record.ended} ({record.error}); start it again "
            "with the same run_id, or a new one"
        )
    listed = record.digests.get(key)
    if listed is None:
        raise LoadError(f"{url} does not count: it is not one of the manifests of the finished run {record.run_id}")
    if listed != sha256:
        raise LoadError(
            f"{url} is not the manifest that run {record.run_id} finished with: work of that run is being repeated; "
            "load it when the run has finished again"
        )
