"""UploadShards: whole shards in, descriptions of objects out. It never leaves the stage that cut the shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Lineage
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.shards import SealedShard, ShardFile
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, upload_threads
from beam_s3box.uploads import Uploader, UploadQueue


class UploadShards(beam.DoFn):
    """Writes shards to the store, several at a time; a bundle ends when all of its shards are there.

    *Guarantees*: an upload that fails after its retries fails the bundle; what it had uploaded stays unlisted.
    """

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        """Prepare what lives as long as the worker."""
        plan = self._plan
        uploader = Uploader(plan.store, plan.format, plan.layout)
        self._queue = UploadQueue(uploader, upload_threads(plan.upload_concurrency), BeamCounts())

    def start_bundle(self) -> None:
        """Forget what a failed bundle left."""
        self._queue.abandon()
        self._windows: dict[str, Any] = {}

    def process(self, shard: SealedShard, window: Any = beam.DoFn.WindowParam) -> Iterator[WindowedValue]:
        """Queue a shard; emit those that are in the store by now, each in its own window."""
        if shard.window not in self._windows:
            self._windows[shard.window] = window
            _note_lineage(self._plan.store.root)
        return self._emit(self._queue.add(shard))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Wait for what is still on its way."""
        return self._emit(self._queue.finish())

    def teardown(self) -> None:
        """Forget what a failed bundle left."""
        self._queue.abandon()

    def _emit(self, files: Iterable[ShardFile]) -> Iterator[WindowedValue]:
        for file in files:
            window = self._windows[file.window]
            yield WindowedValue(file, window.max_timestamp(), (window,))


def _note_lineage(root: str) -> None:
    """Name the destination in the job's lineage."""
    scheme, _, path = root.partition("://")
    bucket, _, prefix = path.strip("/").partition("/")
    Lineage.sinks().add(scheme, *filter(None, (bucket, prefix)), last_segment_sep="/")
