"""The moving part of a box: lines in, shards in the store out, many threads before it and few behind.

Lines wait in stripes, each with a lock of its own, so that threads seldom wait for each other: under one lock for all,
eight threads were three times as slow as one. A stripe that is full goes to the one list of all, under the packer's
lock; when there are enough, they go to the builder as one batch, and what it seals to the outbox. The packer's lock is
free while a caller waits, and is always taken before a stripe's.

A signal handler may raise between any two steps of a caller. A line is in the box when its stripe or the list of all
holds it. A step that moves lines or segments on is marked before it begins, and the mark is removed when it has ended:
whoever finds it later knows that the step broke off, and the box is given up. Such steps wait for nothing, and all
else may break off and be done again: waiting, marking the seal, uploading.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from beam_s3box.box.codec import BoxCodec
from beam_s3box.box.outbox import Outbox
from beam_s3box.box.settings import BoxSettings
from beam_s3box.box.stripes import Stripe, Stripes
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.shard_builder import Flushed, ShardBuilder
from beam_s3box.engine.uploads import ClaimingUploader
from beam_s3box.errors import BoxSealedError
from beam_s3box.shards.limits import LimitsForAll, StreamLimits
from beam_s3box.shards.model import NOTHING, SealedShard, Segment, ShardFile, Size, total_size
from beam_s3box.shards.packing import BY_INPUT_END
from beam_s3box.shards.runs import new_origin
from beam_s3box.sizes import KiB, MiB
from beam_s3box.system.forks import renew_in_children
from beam_s3box.system.threads import Bell, Threads

_BATCH_BYTES: Final = 64 * KiB
"""Memory of the lines that go to the builder together: the cost of a batch is nothing beside it."""

_STRIPES: Final = 16
_STRIPE_BYTES: Final = 64 * KiB
"""Memory of the lines that wait in one stripe."""

_LINE_COST: Final = 64
"""Bytes that a line takes in memory beside its text."""

_SHARDS_BYTES: Final = 16 * MiB
"""Memory for shards on their way, beyond one buffer, before callers wait. A shard as large as the buffer takes twice
its size while it is uploaded; what else the promised 64 MB leave is for lines, boto3 and what malloc keeps."""

AGAIN: Final = "pack everything again into box.next_box()"
"""What to do about a box that was given up."""

_NO_BUDGET: Final = 1 << 62
"""One stream, whose shards are sealed by their limits: the builder never has to hand on early."""


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
      claim: to the run id, which goes into the shards' keys; unique to this packer.
    """

    def __init__(self, settings: BoxSettings, claim: RunClaim) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._changed = Bell()
        self._limits = settings.limits
        self._key = (settings.stream, "", 0)
        self._overhead = settings.format.record_overhead
        self._codec = BoxCodec(self._changed.ring)
        self._threads = Threads(settings.upload_concurrency, "beam_s3box-box-upload")
        self._origin = new_origin()
        self._builder = ShardBuilder(
            settings.format, LimitsForAll(settings.limits), self._codec, self._origin, _NO_BUDGET, min_fill_to_seal=2
        )
        uploader = ClaimingUploader(settings.store, settings.format, claim)
        self._outbox = Outbox(uploader, self._threads, self._lock, self._changed)
        self._failed = self._outbox.failed
        self._max_shards_bytes = (settings.limits.max_raw_bytes or 0) + _SHARDS_BYTES
        self._batch_bytes, self._line_cost = _batch(settings.limits)
        self._all_stripes = [Stripe() for _ in range(_STRIPES)]
        self._stripes = Stripes(itertools.cycle(self._all_stripes))
        self._stripe_bytes = min(_STRIPE_BYTES, self._batch_bytes)
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._handed_over = NOTHING
        self._sealed_bytes = 0
        self._sealed_shards = 0
        self._is_sealed = False
        self._is_cut = False
        self._is_moving = False
        self._lost: str | None = None
        renew_in_children(self)

    @property
    def files(self) -> list[ShardFile]:
        """The shards in the store."""
        with self._alone:
            return self._outbox.files

    @property
    def is_sealed(self) -> bool:
        """Whether it takes no more lines because `seal` was called."""
        return self._is_sealed

    def after_fork(self) -> None:
        """Give up in a forked process: the records are the parent's, and so are the threads that hold the locks."""
        self._lock = threading.RLock()
        for stripe in self._all_stripes:
            stripe.renew()
        self._outbox.renew(self._lock)
        self._lost = (
            f"the box belongs to process {self._process}, which this one was forked from, and its records are "
            "published there; pack those of this process into box.next_box()"
        )

    def add(self, line: bytes) -> None:
        """Take one line; wait if the shards before it fill the memory.

        Raises:
          BoxSealedError: sealed or given up; the line is not taken.
          StoreError: an upload failed, and nobody was told; the line is not taken.
        """
        stripe = self._stripes.mine
        with stripe.lock:
            # asked under the stripe's lock: `seal` sets its mark first and empties the stripes then
            is_odd = self._failed or self._is_sealed or self._lost
            if not is_odd:
                stripe.lines.append(line)
                stripe.bytes = size = stripe.bytes + len(line) + self._line_cost
        if is_odd:
            self.add_many([line])
        elif size >= self._stripe_bytes:
            self._hand_over(stripe)

    def add_many(self, lines: list[bytes]) -> None:
        """Take all of the lines or, with an error as `add` raises it, none."""
        with self._alone:
            self._check_open()
            self._gather(self._stripes.mine)
            self._lines += lines
            self._lines_bytes += sum(map(len, lines)) + self._line_cost * len(lines)
        self._hand_over()

    def seal(self) -> list[ShardFile]:
        """Upload all that is left, once more what failed, and return the shards; no line is taken from now on.

        Raises:
          BoxSealedError: given up.
          StoreError: an upload failed; its shard is kept for the next call.
        """
        with self._alone:
            self._check_not_lost()
            self._is_sealed = True
            # a box whose manifests may have begun takes no step that could give it up
            if not self._is_cut:
                self._gather(*self._all_stripes)
                with self._moving():
                    self._feed()
                    self._builder.cut()
            self._outbox.retry_told()
        self._wait(lambda: self._codec.is_idle)
        with self._alone:
            self._check_not_lost()
            self._cut_rest()
        self._wait(lambda: not self._outbox.shards_on_the_way)
        with self._alone:
            self._outbox.raise_failure()
            return self._outbox.files

    def give_up(self, reason: str, seconds: float) -> None:
        """Drop what is not in the store; uploads that run have so many seconds to end."""
        deadline = time.monotonic() + seconds
        with self._alone:
            self._lost = self._lost or reason
            self._lines, self._lines_bytes = [], 0
            self._outbox.cancel()
        self._changed.ring()
        waiter = self._changed.waiter()
        while self._outbox.shards_on_the_way and waiter.acquire(timeout=max(0.0, deadline - time.monotonic())):
            waiter = self._changed.waiter()

    def stats(self) -> BoxStats:
        """Return what was done so far."""
        with self._alone:
            size = self._handed_over.plus(self._waiting())
            for stripe in self._all_stripes:
                count, text_bytes = stripe.size()
                size = size.plus(Size(0, text_bytes + self._overhead * count, count))
            files = self._outbox.files
            return BoxStats(
                records=size.records,
                raw_bytes=size.raw_bytes,
                object_bytes=sum(file.object_bytes for file in files),
                shards=len(files),
                pending=size.records - sum(file.records for file in files),
                failed=len(self._outbox.failed),
            )

    @property
    def _alone(self) -> threading.RLock:
        """The lock, to be held in a `with`; this thread lets go of it first, if a call that broke off has not."""
        with contextlib.suppress(RuntimeError):
            while True:
                self._lock.release()
        return self._lock

    def _check_open(self) -> None:
        self._check_not_lost()
        if self._is_sealed:
            raise BoxSealedError("the box is sealed and takes no more records: pack into box.next_box()")
        if self._outbox.has_unreported_failure or (self._is_full() and not self._outbox.shards_on_the_way):
            self._outbox.raise_failure()

    def _check_not_lost(self) -> None:
        if self._is_moving and self._lost is None:
            self._lost = _broke_off("an exception")
        if self._lost is not None:
            raise BoxSealedError(self._lost)

    def _gather(self, *stripes: Stripe) -> None:
        """Bring what waits in stripes together."""
        with self._moving():
            for stripe in stripes:
                lines = stripe.take()
                self._lines += lines
                self._lines_bytes += sum(map(len, lines)) + self._line_cost * len(lines)

    def _waiting(self) -> Size:
        """Return the size of the lines that wait for the builder."""
        count = len(self._lines)
        return Size(0, sum(map(len, self._lines)) + self._overhead * count, count)

    def _is_full(self) -> bool:
        # the shard that is being filled counts twice: when it is uploaded, segments and object are both there
        filling = self._codec.cut_bytes - self._sealed_bytes
        return self._outbox.held_bytes + 2 * filling > self._max_shards_bytes

    def _has_memory(self) -> bool:
        """Return whether the builder may take more: there is memory, or nothing is on its way that would free some."""
        has_room = self._codec.has_room(self._builder.open_bytes + self._lines_bytes)
        return has_room and not (self._is_full() and self._outbox.shards_on_the_way)

    def _hand_over(self, *stripes: Stripe) -> None:
        """Give the builder what waits, if it is a batch, when there is memory for more."""
        while True:
            waiter = self._changed.waiter()
            with self._alone:
                self._check_not_lost()
                self._gather(*stripes)
                if self._lines_bytes < self._batch_bytes:
                    return
                if self._has_memory():
                    with self._moving():
                        self._feed()
                        self._ship(self._builder.poll())
                    return
                self._outbox.begin_all()
            self._sleep(waiter)

    def _wait(self, is_over: Callable[[], bool]) -> None:
        """Wait until that is so."""
        while True:
            waiter = self._changed.waiter()
            with self._alone:
                self._check_not_lost()
                self._outbox.begin_all()
                if is_over():
                    return
            self._sleep(waiter)

    def _sleep(self, waiter: threading.Lock) -> None:
        self._codec.wake()
        self._threads.wake()
        waiter.acquire()

    def _cut_rest(self) -> None:
        """Make shards of all that is left."""
        if self._is_cut:
            return
        with self._moving():
            remainder = self._ship(self._builder.finish())
            if remainder:
                self._ship_one(
                    SealedShard(self._key[0], "", self._origin, self._sealed_shards, BY_INPUT_END, remainder)
                )
            self._is_cut = True

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        """Mark a step on the way of the records: when it breaks off, nothing of them may be published."""
        self._is_moving = True
        try:
            yield
        except BaseException as exc:
            self._lost = _broke_off(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)
            raise
        self._is_moving = False

    def _feed(self) -> None:
        if not self._lines:
            return
        self._handed_over = self._handed_over.plus(self._waiting())
        lines, self._lines, self._lines_bytes = self._lines, [], 0
        self._builder.add(self._key, lines)

    def _ship(self, flushed: Flushed) -> tuple[Segment, ...]:
        """Upload the shards and return the rest."""
        for shard in flushed.shards:
            self._ship_one(shard)
        return tuple(segment for _, segment in flushed.remainders)

    def _ship_one(self, shard: SealedShard) -> None:
        self._sealed_shards += 1
        self._sealed_bytes += total_size(shard.segments).object_bytes
        self._outbox.add(shard)


def _broke_off(why: str) -> str:
    return f"the box was given up because {why} broke off a step on the way of its records; {AGAIN}"


def _batch(limits: StreamLimits) -> tuple[int, int]:
    """Return how much memory a batch may take, and how much a line counts for: no batch is larger than a shard."""
    batch_bytes = min(_BATCH_BYTES, limits.max_raw_bytes or _BATCH_BYTES, limits.max_object_bytes)
    return batch_bytes, max(_LINE_COST, -(-batch_bytes // (limits.max_records or batch_bytes)))
