"""The moving part of a box: takes lines from many threads, and uploads shards on few.

Lines wait in stripes, each with its own lock, so that threads seldom wait for each other: under one lock for all,
eight threads were three times as slow as one. A full stripe is moved to one common list, under the packer's lock; when
that list is long enough, it goes to the builder as one batch, and the shards that it seals are uploaded. The
packer's lock is free while a caller waits, and is always taken before a stripe's.

A signal handler may raise between any two steps of a caller. A line is in the box when its stripe or the common list
holds it. A step that moves lines or segments is marked before it begins, and the mark is removed when it has ended: a
call that finds the mark later knows that the step was interrupted, and aborts the box. Such steps wait for nothing.
Everything else may be interrupted and repeated: waiting, marking the seal, uploading.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator

from beam_s3box.box.aborts import forked, interrupted
from beam_s3box.box.claiming_uploader import ClaimingUploader
from beam_s3box.box.codec import BoxCodec
from beam_s3box.box.in_flight import InFlightUploads
from beam_s3box.box.memory import NO_BUDGET, SHARDS_BYTES, STRIPE_BYTES, STRIPES, batch_limits
from beam_s3box.box.stats import BoxStats
from beam_s3box.box.stripes import Stripe, Stripes
from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.shard_builder import Flushed, ShardBuilder
from beam_s3box.errors import BoxSealedError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import NOTHING, SealedShard, Segment, ShardFile, Size, total_size
from beam_s3box.shards.packing import BY_INPUT_END
from beam_s3box.shards.runs import new_origin
from beam_s3box.system.forks import renew_in_children
from beam_s3box.system.outside import steady_seconds
from beam_s3box.system.threads import Bell, Threads


class BoxPacker:
    """Packs lines of one stream into shards and uploads them. Safe from many threads.

    Args:
      plan: the plan of the run, which no other packer has.
      stream: the stream of all lines.
    """

    def __init__(self, plan: RunPlan, stream: Stream) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._changed = Bell()
        limits = plan.limits_of(stream)
        self._key = (stream, "", 0)
        self._overhead = plan.format.record_overhead
        self._codec = BoxCodec(self._changed.ring)
        self._threads = Threads(plan.upload_concurrency, "beam_s3box-box-upload")
        self._origin = new_origin()
        self._builder = ShardBuilder(
            plan.format, plan.limits_of, self._codec, self._origin, NO_BUDGET, min_fill_to_seal=2
        )
        uploader = ClaimingUploader(plan.store, plan.format, plan.claim)
        self._uploads = InFlightUploads(uploader, self._threads, self._lock, self._changed)
        self._failed = self._uploads.failed
        self._max_shards_bytes = (limits.max_raw_bytes or 0) + SHARDS_BYTES
        self._batch_bytes, self._line_overhead = batch_limits(limits)
        self._all_stripes = [Stripe() for _ in range(STRIPES)]
        self._stripes = Stripes(itertools.cycle(self._all_stripes))
        self._stripe_bytes = min(STRIPE_BYTES, self._batch_bytes)
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._handed_over = NOTHING
        self._sealed_bytes = 0
        self._sealed_shards = 0
        self._is_sealed = False
        self._is_cut = False
        self._in_step = False
        self._abort_reason: str | None = None
        renew_in_children(self)

    @property
    def files(self) -> list[ShardFile]:
        """The shards in the store."""
        with self._alone:
            return self._uploads.files

    @property
    def is_sealed(self) -> bool:
        """Whether it takes no more lines because `seal` was called."""
        return self._is_sealed

    @property
    def is_forgotten(self) -> bool:
        """Whether it took lines and was neither sealed nor aborted, as a finalizer asks it: no lock is taken."""
        took = self._handed_over.records or self._lines or any(stripe.lines for stripe in self._all_stripes)
        return bool(took) and not self._is_sealed and self._abort_reason is None

    def after_fork(self) -> None:
        """Abort the box in a forked process: its records belong to the parent, and so do threads that hold locks."""
        self._lock = threading.RLock()
        for stripe in self._all_stripes:
            stripe.renew()
        self._uploads.renew(self._lock)
        self._abort_reason = forked(self._process)

    def add(self, line: bytes) -> None:
        """Take one line; wait if the shards before it fill the memory.

        Raises:
          BoxSealedError: the box is sealed or aborted; the line is not taken.
          StoreError: an upload failed, which no call has raised yet; the line is not taken.
        """
        stripe = self._stripes.mine
        with stripe.lock:
            # checked under the stripe's lock: `seal` first sets its mark and then empties the stripes
            is_closed = self._failed or self._is_sealed or self._abort_reason
            if not is_closed:
                stripe.lines.append(line)
                stripe.bytes = size = stripe.bytes + len(line) + self._line_overhead
        if is_closed:
            self.add_many([line])
        elif size >= self._stripe_bytes:
            self._hand_over(stripe)

    def add_many(self, lines: list[bytes]) -> None:
        """Take all of the lines or, with an error as `add` raises it, none."""
        with self._alone:
            self._check_open()
            self._gather(self._stripes.mine)
            self._lines += lines
            self._lines_bytes += sum(map(len, lines)) + self._line_overhead * len(lines)
        self._hand_over()

    def seal(self) -> list[ShardFile]:
        """Upload everything that is left, retry what failed, and return the shards; no line is taken from now on.

        Raises:
          BoxSealedError: the box is aborted.
          StoreError: an upload failed; its shard is kept for the next call.
        """
        with self._alone:
            self._check_not_aborted()
            self._is_sealed = True
            # once manifests may have been written, no step that could abort the box is taken
            if not self._is_cut:
                self._gather(*self._all_stripes)
                with self._poison_on_error():
                    self._flush_lines()
                    self._builder.cut()
            self._uploads.retry_reported()
        self._wait(lambda: self._codec.is_idle)
        with self._alone:
            self._check_not_aborted()
            self._seal_remainder()
        self._wait(lambda: not self._uploads.shards_in_flight)
        with self._alone:
            self._uploads.raise_failure()
            return self._uploads.files

    def abort(self, reason: str, seconds: float) -> None:
        """Drop what is not in the store; uploads that are running have this many seconds to end."""
        deadline = steady_seconds() + seconds
        with self._alone:
            self._abort_reason = self._abort_reason or reason
            self._lines, self._lines_bytes = [], 0
            self._uploads.cancel()
        self._changed.ring()
        waiter = self._changed.waiter()
        while self._uploads.shards_in_flight and waiter.acquire(timeout=max(0.0, deadline - steady_seconds())):
            waiter = self._changed.waiter()

    def stats(self) -> BoxStats:
        """Return what the box has done so far."""
        with self._alone:
            size = self._handed_over.plus(self._waiting())
            for stripe in self._all_stripes:
                count, text_bytes = stripe.size()
                size = size.plus(Size(0, text_bytes + self._overhead * count, count))
            files = self._uploads.files
            return BoxStats(
                records=size.records,
                raw_bytes=size.raw_bytes,
                object_bytes=sum(file.object_bytes for file in files),
                shards=len(files),
                pending=size.records - sum(file.records for file in files),
                failed=len(self._uploads.failed),
            )

    @property
    def _alone(self) -> threading.RLock:
        """The lock, to be held in a `with`; first released if an interrupted call of this thread still holds it."""
        with contextlib.suppress(RuntimeError):
            while True:
                self._lock.release()
        return self._lock

    def _check_open(self) -> None:
        self._check_not_aborted()
        if self._is_sealed:
            raise BoxSealedError("the box is sealed and takes no more records: pack into box.next_box()")
        if self._uploads.has_unreported_failure or (self._is_full() and not self._uploads.shards_in_flight):
            self._uploads.raise_failure()

    def _check_not_aborted(self) -> None:
        if self._in_step and self._abort_reason is None:
            self._abort_reason = interrupted("an exception")
        if self._abort_reason is not None:
            raise BoxSealedError(self._abort_reason)

    def _gather(self, *stripes: Stripe) -> None:
        """Move the lines of the stripes to the common list."""
        with self._poison_on_error():
            for stripe in stripes:
                lines = stripe.take()
                self._lines += lines
                self._lines_bytes += sum(map(len, lines)) + self._line_overhead * len(lines)

    def _waiting(self) -> Size:
        """Return the size of the lines that wait for the builder."""
        count = len(self._lines)
        return Size(0, sum(map(len, self._lines)) + self._overhead * count, count)

    def _is_full(self) -> bool:
        # the shard that is being filled counts twice: while it is uploaded, segments and object are both in memory
        filling = self._codec.cut_bytes - self._sealed_bytes
        return self._uploads.held_bytes + 2 * filling > self._max_shards_bytes

    def _has_memory(self) -> bool:
        """Return whether the builder may take more: there is memory, or no upload is in flight that would free some."""
        has_room = self._codec.has_room(self._builder.open_bytes + self._lines_bytes)
        return has_room and not (self._is_full() and self._uploads.shards_in_flight)

    def _hand_over(self, *stripes: Stripe) -> None:
        """Give the waiting lines to the builder, if they are a batch, as soon as there is memory for them."""
        while True:
            waiter = self._changed.waiter()
            with self._alone:
                self._check_not_aborted()
                self._gather(*stripes)
                if self._lines_bytes < self._batch_bytes:
                    return
                if self._has_memory():
                    with self._poison_on_error():
                        self._flush_lines()
                        self._enqueue(self._builder.poll())
                    return
                self._uploads.begin_all()
            self._sleep(waiter)

    def _wait(self, is_over: Callable[[], bool]) -> None:
        """Wait until this is true."""
        while True:
            waiter = self._changed.waiter()
            with self._alone:
                self._check_not_aborted()
                self._uploads.begin_all()
                if is_over():
                    return
            self._sleep(waiter)

    def _sleep(self, waiter: threading.Lock) -> None:
        self._codec.wake()
        self._threads.wake()
        waiter.acquire()

    def _seal_remainder(self) -> None:
        """Make shards of everything that is left."""
        if self._is_cut:
            return
        with self._poison_on_error():
            remainder = self._enqueue(self._builder.finish())
            if remainder:
                self._enqueue_one(
                    SealedShard(self._key[0], "", self._origin, self._sealed_shards, BY_INPUT_END, remainder)
                )
            self._is_cut = True

    @contextlib.contextmanager
    def _poison_on_error(self) -> Iterator[None]:
        """Mark a step that moves records: when it is interrupted, none of them may be published."""
        self._in_step = True
        try:
            yield
        except BaseException as exc:
            self._abort_reason = interrupted(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)
            raise
        self._in_step = False

    def _flush_lines(self) -> None:
        if not self._lines:
            return
        self._handed_over = self._handed_over.plus(self._waiting())
        lines, self._lines, self._lines_bytes = self._lines, [], 0
        self._builder.add(self._key, lines)

    def _enqueue(self, flushed: Flushed) -> tuple[Segment, ...]:
        """Upload the shards and return the remainder."""
        for shard in flushed.shards:
            self._enqueue_one(shard)
        return tuple(segment for _, segment in flushed.remainders)

    def _enqueue_one(self, shard: SealedShard) -> None:
        self._sealed_shards += 1
        self._sealed_bytes += total_size(shard.segments).object_bytes
        self._uploads.add(shard)
