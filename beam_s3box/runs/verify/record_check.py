"""Checks that a run's record says what its lists and manifests say together, and that no input is lost."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator

from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_reader import Run
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.runs.verify.shard_check import Stated
from beam_s3box.shards.model import NOTHING, Size


class RecordCheck:
    """Adds up what is said of shards, and compares it with the record.

    Args:
      run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._shards = 0
        self._size = NOTHING
        self._streams: dict[tuple[str, str], tuple[int, Size]] = {}
        self._manifests: collections.Counter[str] = collections.Counter()
        self._sizes: dict[str, Size] = {}

    def noted(self, stated: Iterable[Stated]) -> Iterator[Stated]:
        """Yield what is said of shards, and add it up."""
        for one in stated:
            self._note(one)
            yield one

    def check(self, problems: Problems) -> None:
        """Compare with the record, whatever of it this version or an earlier one has written."""
        self._check_totals(problems)
        self._check_manifests(problems)
        self._check_streams(problems)
        self._check_input(problems)

    def unchecked(self) -> Iterator[str]:
        """Yield what nobody can know of a streamer's run."""
        record = self._run.record
        if record.has_no_manifests:
            yield (
                f"its objects: the streamer {_uploaded_by(record)}, and wrote no manifests, so nothing says which "
                "objects are its own"
            )
        elif record.counts_uploads and record.state == "failed":
            yield "its totals: the streamer ended without an orderly shut-down, and its record has none"
        elif record.counts_uploads and record.state == "finished" and record.size != self._size:
            yield (
                f"its totals: the streamer {_uploaded_by(record)}, and its manifests list {self._size.records:,} "
                "records; they list what the streamer before it on the folder left as well, and what they leave the "
                "next one lists"
            )

    def _note(self, stated: Stated) -> None:
        if stated.row is not None:
            shard = stated.row.shard
            size, manifest = Size(shard.object_bytes, shard.raw_bytes, shard.records), stated.row.manifest
            shards, before = self._streams.get(shard.stream, (0, NOTHING))
            self._streams[shard.stream] = shards + 1, before.plus(size)
        elif stated.entry is not None:
            size, manifest = Size(stated.entry.object_bytes or 0, 0, stated.entry.records or 0), stated.entry.manifest
        self._shards += 1
        self._size = self._size.plus(size)
        self._manifests[manifest] += 1
        self._sizes[manifest] = self._sizes.get(manifest, NOTHING).plus(size)

    @property
    def _url(self) -> str:
        return self._run.store.url(self._run.layout.run)

    def _check_totals(self, problems: Problems) -> None:
        record = self._run.record
        if record.state != "finished" or not (record.bounded or record.streams):
            return  # the record of an unbounded run has no totals before it ends
        if record.counts_uploads:
            self._check_sums(problems)
            return
        self._compare(problems, "all shards", (record.shards, record.size), (self._shards, self._size))
        listed = sum(one.shards for one in record.shard_lists)
        # versions that wrote no lists had no streams either
        if record.bounded and record.streams and listed < record.shards:
            problems.add(self._url, f"counts {record.shards:,} shards, and names lists of {listed:,}")

    def _check_sums(self, problems: Problems) -> None:
        """Check that the totals of a record are the sums of its streams: all that can be said of uploads."""
        record = self._run.record
        size = NOTHING
        for one in record.streams:
            size = size.plus(Size(one.object_bytes, one.raw_bytes, one.records))
        found = sum(one.shards for one in record.streams), size
        self._compare(problems, "all uploads", (record.shards, record.size), found, "the sum of its streams is")

    def _check_manifests(self, problems: Problems) -> None:
        for manifest in self._run.record.manifests:
            found = self._manifests[manifest.key], self._sizes.get(manifest.key, NOTHING)
            self._compare(problems, manifest.key, (manifest.shards, _size_of(manifest)), found)

    def _check_streams(self, problems: Problems) -> None:
        record = self._run.record
        if record.counts_uploads or not record.streams or not self._streams:
            return
        said = {(one.domain, one.namespace): one for one in record.streams}
        for name in sorted({*self._streams, *said}, key=repr):
            one = said.get(name)
            stated = (0, NOTHING) if one is None else (one.shards, Size(one.object_bytes, one.raw_bytes, one.records))
            found = self._streams.get(name, (0, NOTHING))  # type: ignore[arg-type] # a stream without shards has no names
            self._compare(problems, f"stream {name[0]}/{name[1]}", stated, found)

    def _check_input(self, problems: Problems) -> None:
        record, came = self._run.record, self._run.record.input
        if came is None or record.state != "finished":
            return
        listed = record.size.records
        if came.accepted != listed:
            problems.add(
                self._url,
                f"says that {came.records:,} records came in, {listed:,} are listed and {came.rejected:,} are dead "
                f"letters: {_difference(came.accepted, listed)}",
            )

    def _compare(
        self,
        problems: Problems,
        what: str,
        said: tuple[int, Size],
        found: tuple[int, Size],
        where: str = "what is listed has",
    ) -> None:
        said_values, found_values = _values(*said), _values(*found)
        for name, number in said_values.items():
            # raw bytes are in lists of shards only
            if found_values[name] != number and not (name == "raw bytes" and not found_values[name]):
                problems.add(self._url, f"counts {number:,} {name} of {what}, and {where} {found_values[name]:,}")


def _uploaded_by(record: RunRecord) -> str:
    if record.state != "finished":
        return "uploaded what its record does not count"
    return f"uploaded {record.size.records:,} records"


def _values(shards: int, size: Size) -> dict[str, int]:
    return {
        "shards": shards,
        "records": size.records,
        "raw bytes": size.raw_bytes,
        "object bytes": size.object_bytes,
    }


def _size_of(manifest: Manifest) -> Size:
    return Size(manifest.object_bytes, manifest.raw_bytes, manifest.records)


def _difference(accepted: int, listed: int) -> str:
    return f"{accepted - listed:,} are missing" if accepted > listed else f"{listed - accepted:,} are too many"
