"""Reads a run, and adds up what a report shows of it: one pass over its shards, and little memory for each."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable
from typing import Final

from beam_s3box.engine.run_reader import Run
from beam_s3box.engine.shard_lists import ListedShard
from beam_s3box.records.streams import Stream
from beam_s3box.runs.report.figures import Distribution, RunFigures, Sealing, StreamFigures, WindowFigures
from beam_s3box.runs.report.letters import letters_of
from beam_s3box.runs.report.limits import object_limit_of

_MOMENT: Final = re.compile(r"(\d{8}T\d{6})(\.\d+)?Z")
_SPANS: Final = 60
"""Spans of time that a run without windows is shown in."""


def gather(run: Run, progress: Callable[[int], None] = lambda shards: None) -> RunFigures:
    """Return the figures of a run.

    Args:
      run: one of any state.
      progress: takes the number of shards that were read so far.

    Raises:
      S3BoxError: what the run left is damaged.
      StoreError: the store refused or failed, after its retries.
    """
    ended = _ended(run) if run.record.bounded else None
    sums = _Sums(ended)
    for number, listed in enumerate(run.shards(), 1):
        sums.add(listed)
        progress(number)
    letters = letters_of(run)
    limit_of = object_limit_of(run.record.settings)
    for totals in () if run.record.counts_uploads else run.record.streams:
        found = sums.stream(totals.domain or "", totals.namespace or "")
        found.dead_letters = totals.rejected
        if found.manifests < totals.manifests:
            found.manifests = totals.manifests
    for found in sums.streams.values():
        found.limit_bytes = limit_of(Stream(found.domain, found.namespace))
    streams = sorted(sums.streams.values(), key=lambda row: (-row.object_bytes, row.domain, row.namespace))
    windows = sorted(sums.windows.values(), key=lambda window: window.begin)
    return RunFigures(
        destination=run.store.root,
        record=run.record,
        streams=streams,
        records=sum(row.records for row in streams),
        shards=len(sums.sizes),
        raw_bytes=sum(row.raw_bytes for row in streams),
        object_bytes=sum(row.object_bytes for row in streams),
        manifests=len(sums.manifests) or len(run.record.manifests),
        sizes=sums.sizes,
        waits=sums.waits,
        waits_stored=ended is not None,
        upload_waits=sums.upload_waits,
        sealed_by=sums.sealed_by,
        windows=windows or _spans(sums.moments),
        has_windows=bool(windows),
        letters=letters,
    )


class _Sums:
    """The sums so far.

    Args:
      ended: when a bounded run finished, which is when its manifests begin to count; None for other runs.
    """

    def __init__(self, ended: float | None) -> None:
        self._ended = ended
        self.streams: dict[tuple[str, str], StreamFigures] = {}
        self.windows: dict[str, WindowFigures] = {}
        self.sealed_by: dict[str, Sealing] = {}
        self.manifests: set[str] = set()
        self.sizes, self.waits, self.upload_waits = Distribution(), Distribution(), Distribution()
        self.moments: list[tuple[float, int, int, bool]] = []
        self._pairs: set[tuple[str, str, str]] = set()

    def stream(self, domain: str, namespace: str) -> StreamFigures:
        found = self.streams.get((domain, namespace))
        if found is None:
            found = self.streams[domain, namespace] = StreamFigures(domain, namespace)
        return found

    def add(self, listed: ListedShard) -> None:
        shard = listed.shard
        found = self.stream(shard.domain, shard.namespace)
        size = shard.object_bytes
        found.least_bytes = min(found.least_bytes, size) if found.shards else size
        found.most_bytes = max(found.most_bytes, size)
        found.shards += 1
        found.records += shard.records
        found.raw_bytes += shard.raw_bytes
        found.object_bytes += size
        self.sizes.add(size)
        sealing = self.sealed_by.setdefault(shard.sealed_by, Sealing())
        sealing.shards += 1
        sealing.object_bytes += size
        self._add_waits(listed, found)
        is_new = bool(listed.manifest) and listed.manifest not in self.manifests
        if listed.manifest:
            self.manifests.add(listed.manifest)
            pair = (shard.domain, shard.namespace, listed.manifest)
            if pair not in self._pairs:
                self._pairs.add(pair)
                found.manifests += 1
        if shard.window:
            self._add_window(listed, is_new=is_new)
        moment = listed.stored or listed.listed
        if not shard.window and moment is not None:
            self.moments.append((moment, shard.records, size, is_new))

    def _add_waits(self, listed: ListedShard, found: StreamFigures) -> None:
        # nothing says when records of bounded input arrived: they were all there when the run began
        begin = listed.arrived if self._ended is None else listed.stored
        end = listed.listed if self._ended is None else self._ended
        if begin is not None and end is not None:
            wait = max(end - begin, 0.0)
            self.waits.add(wait)
            found.waits += 1
            found.wait_seconds += wait
            found.most_wait_seconds = max(found.most_wait_seconds, wait)
        if listed.arrived is not None and listed.stored is not None:
            self.upload_waits.add(max(listed.stored - listed.arrived, 0.0))

    def _add_window(self, listed: ListedShard, *, is_new: bool) -> None:
        shard = listed.shard
        found = self.windows.get(shard.window)
        if found is None:
            bounds = window_bounds(shard.window)
            if bounds is None:
                return
            found = self.windows[shard.window] = WindowFigures(*bounds)
        found.records += shard.records
        found.shards += 1
        found.object_bytes += shard.object_bytes
        found.manifests += is_new
        found.panes = max(found.panes, listed.pane)
        if listed.listed is not None:
            found.first_listed = min(found.first_listed or listed.listed, listed.listed)
            found.last_listed = max(found.last_listed or listed.listed, listed.listed)


def _ended(run: Run) -> float | None:
    """Return when a run finished, in seconds since the epoch; None if it did not."""
    record = run.record
    if record.state != "finished" or not record.ended:
        return None
    try:
        # the record says whole seconds
        return max(datetime.datetime.fromisoformat(record.ended).timestamp(), run.info.modified)
    except ValueError:
        return None


def window_bounds(name: str) -> tuple[float, float] | None:
    """Return begin and end of a window by its name in keys, in seconds since the epoch; None if that has no times."""
    found = [_seconds(text, fraction) for text, fraction in _MOMENT.findall(name)]
    times = [seconds for seconds in found if seconds is not None]
    return (times[0], times[-1]) if times else None


def _seconds(text: str, fraction: str) -> float | None:
    try:
        moment = datetime.datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
    return moment.timestamp() + float(fraction or 0)


def _spans(moments: Iterable[tuple[float, int, int, bool]]) -> list[WindowFigures]:
    """Return what a run without windows wrote when, in spans of equal length."""
    rows = sorted(moments)
    if not rows:
        return []
    begin, end = rows[0][0], rows[-1][0]
    each = max((end - begin) / _SPANS, 0.001)
    count = min(int((end - begin) / each) + 1, _SPANS)
    spans = [WindowFigures(begin + number * each, begin + (number + 1) * each) for number in range(count)]
    for moment, records, object_bytes, is_new in rows:
        span = spans[min(int((moment - begin) / each), count - 1)]
        span.records += records
        span.shards += 1
        span.object_bytes += object_bytes
        span.manifests += is_new
    return spans
