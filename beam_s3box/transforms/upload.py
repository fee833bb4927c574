"""UploadShards: whole shards in, descriptions of objects out. It never leaves the stage that cut the shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Lineage
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.engine.uploads import Uploader, UploadQueue
from beam_s3box.shards.model import SealedShard, ShardFile
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, upload_threads
from beam_s3box.transforms.windows import last_moment

_GLOBAL = GlobalWindow()


class _Upload(beam.DoFn):
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
        self._places: dict[str, Any] = {}

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Wait for what is still on its way."""
        return self._emit(self._queue.finish())

    def teardown(self) -> None:
        """Forget what a failed bundle left."""
        self._queue.abandon()

    def _add(self, shard: SealedShard, place: Any) -> Iterator[WindowedValue]:
        if shard.window not in self._places:
            self._places[shard.window] = place
            _note_lineage(self._plan.store.root)
        return self._emit(self._queue.add(shard))

    def _emit(self, files: Iterable[ShardFile]) -> Iterator[WindowedValue]:
        for file in files:
            yield self._placed(file, self._places[file.window])

    def _placed(self, file: ShardFile, place: Any) -> WindowedValue:
        raise NotImplementedError


class UploadShards(_Upload):
    """Uploads shards that stand in their own windows; so do the files."""

    def process(self, shard: SealedShard, window: Any = beam.DoFn.WindowParam) -> Iterator[WindowedValue]:
        """Queue a shard; emit those that are in the store by now, each in its own window."""
        return self._add(shard, window)

    def _placed(self, file: ShardFile, place: Any) -> WindowedValue:
        return WindowedValue(file, last_moment(place), (place,))


class UploadKeyedShards(_Upload):
    """Uploads `(encoded window, shard)` in the global window; the files carry their windows on."""

    def process(
        self, element: tuple[bytes, SealedShard], timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[WindowedValue]:
        """Queue a shard; emit those that are in the store by now, each with its window and its time."""
        window, shard = element
        return self._add(shard, (window, timestamp))

    def _placed(self, file: ShardFile, place: Any) -> WindowedValue:
        window, timestamp = place
        return WindowedValue((window, file), timestamp, (_GLOBAL,))


def _note_lineage(root: str) -> None:
    """Name the destination in the job's lineage."""
    scheme, _, path = root.partition("://")
    bucket, _, prefix = path.strip("/").partition("/")
    Lineage.sinks().add(scheme, *filter(None, (bucket, prefix)), last_segment_sep="/")
