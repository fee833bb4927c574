"""UploadShards: uploads shards and emits descriptions of the objects, in the stage that sealed the shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Lineage
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box import metrics
from beam_s3box.engine.uploads import Uploader, UploadQueue
from beam_s3box.shards.model import SealedShard, ShardFile
from beam_s3box.stores.retries import WAITED
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, upload_threads
from beam_s3box.transforms.windows import last_moment

_GLOBAL = GlobalWindow()


class _Upload(beam.DoFn):
    """Writes shards to the store, several at a time; a bundle ends when all of its shards exist.

    *Guarantees*: an upload that fails after its retries fails the bundle; what it had uploaded stays unlisted.
    """

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        """Create what lives as long as the worker."""
        plan = self._plan
        uploader = Uploader(plan.store, plan.format, plan.layout)
        self._counts = BeamCounts()
        self._queue = UploadQueue(uploader, upload_threads(plan.upload_concurrency), self._counts)

    def start_bundle(self) -> None:
        """Drop what a failed bundle left."""
        self._queue.abandon()
        self._windows: dict[str, Any] = {}

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Wait for the uploads in flight."""
        yield from self._emit(self._queue.finish())
        waited = WAITED.take()
        if waited:
            self._counts.count(metrics.THROTTLED_SECONDS, waited)

    def teardown(self) -> None:
        """Drop what a failed bundle left."""
        self._queue.abandon()

    def _add(self, shard: SealedShard, window: Any) -> Iterator[WindowedValue]:
        if shard.window not in self._windows:
            self._windows[shard.window] = window
            _note_lineage(self._plan.store.root)
        return self._emit(self._queue.add(shard))

    def _emit(self, files: Iterable[ShardFile]) -> Iterator[WindowedValue]:
        for file in files:
            yield self._with_window(file, self._windows[file.window])

    def _with_window(self, file: ShardFile, window: Any) -> WindowedValue:
        raise NotImplementedError


class UploadShards(_Upload):
    """Uploads shards that are in their windows; the output is, too."""

    def process(self, shard: SealedShard, window: Any = beam.DoFn.WindowParam) -> Iterator[WindowedValue]:
        """Queue a shard; emit those that are in the store, each in its own window."""
        return self._add(shard, window)

    def _with_window(self, file: ShardFile, window: Any) -> WindowedValue:
        return WindowedValue(file, last_moment(window), (window,))


class UploadKeyedShards(_Upload):
    """Uploads `(encoded window, shard)` in the global window; the output has the encoded window, too."""

    def process(
        self, element: tuple[bytes, SealedShard], timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[WindowedValue]:
        """Queue a shard; emit those that are in the store, each with its window and timestamp."""
        window, shard = element
        return self._add(shard, (window, timestamp))

    def _with_window(self, file: ShardFile, window: Any) -> WindowedValue:
        encoded, timestamp = window
        return WindowedValue((encoded, file), timestamp, (_GLOBAL,))


def _note_lineage(root: str) -> None:
    """Report the destination in the lineage of the job."""
    scheme, _, path = root.partition("://")
    bucket, _, prefix = path.strip("/").partition("/")
    Lineage.sinks().add(scheme, *filter(None, (bucket, prefix)), last_segment_sep="/")
