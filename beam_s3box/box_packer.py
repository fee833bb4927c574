"""The moving part of a box: lines in, shards in the store out, many threads before it and few behind.

Lines wait in a list under one short lock. When there are enough they go to the cutter, as one batch, and what it seals
to the outbox. The lock is free while a caller waits for memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, NamedTuple

from beam_s3box.box_codec import BoxCodec
from beam_s3box.box_errors import BoxSealedError
from beam_s3box.box_outbox import Outbox
from beam_s3box.box_settings import BoxSettings
from beam_s3box.cutter import Budget, Cuttings, ShardCutter
from beam_s3box.errors import S3BoxError
from beam_s3box.layout import Layout
from beam_s3box.limits import StreamLimits
from beam_s3box.packing import BY_INPUT_END
from beam_s3box.runs import new_token
from beam_s3box.shards import SealedShard, ShardFile, total_size
from beam_s3box.sizes import KiB, MiB
from beam_s3box.uploads import Uploader

_BATCH_BYTES: Final = 64 * KiB
"""Memory of the lines that go to the cutter together: the cost of a batch is nothing beside it."""

_LINE_COST: Final = 64
"""Bytes that a line takes in memory beside its text."""

_SHARDS_BYTES: Final = 24 * MiB
"""Memory for shards beyond twice the buffer; the other 40 MB that the promise leaves are for lines and boto3."""

_ORIGIN_CHARACTERS: Final = 12
_NO_BUDGET: Final = Budget(1 << 62, 1 << 62)
"""One stream, whose shards are sealed by their limits: the cutter never has to hand on early."""


class BoxStats(NamedTuple):
    """What a box has done so far.

    Attributes:
      records: packed.
      raw_bytes: of these, before compression, with what parts them in a shard.
      object_bytes: of the shards in the store.
      shards: in the store.
      pending: records that are not in the store yet: buffered, on their way, or kept after a failed upload.
      failed: shards whose upload failed, kept for the next `seal()`.
    """

    records: int
    raw_bytes: int
    object_bytes: int
    shards: int
    pending: int
    failed: int


class BoxPacker:
    """Packs lines of one stream into shards and uploads them. Safe from many threads.

    Args:
      settings: of the box.
      run_id: goes into the shards' keys; unique to this packer.
    """

    def __init__(self, settings: BoxSettings, run_id: str) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._limits = settings.limits
        self._key = (settings.stream, "")
        self._overhead = settings.format.record_overhead
        self._codec = BoxCodec()
        self._threads = ThreadPoolExecutor(settings.upload_concurrency, "beam_s3box-box-upload")
        self._origin = new_token(_ORIGIN_CHARACTERS)
        self._cutter = ShardCutter(
            settings.format, lambda _: settings.limits, self._codec, self._origin, _NO_BUDGET, seal_halves=False
        )
        layout = Layout.below(settings.store.root, run_id)
        self._outbox = Outbox(Uploader(settings.store, settings.format, layout), self._threads, self._changed)
        self._max_shards_bytes = 2 * settings.limits.raw_bytes_or(0) + _SHARDS_BYTES
        self._batch_bytes, self._line_cost = _batch(settings.limits)
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._records = 0
        self._raw_bytes = 0
        self._sealed_bytes = 0
        self._sealed_shards = 0
        self._closed: str | None = None
        self._cut_all = False
