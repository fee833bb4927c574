"""Packs lines of many streams without Beam: routed, cut, compressed and uploaded as they come, listed at the end.

The rules and the code are those of the Beam transform. Its shuffle, which gathers the remainders of all bundles, is not
needed here, because one packer sees all lines.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from beam_s3box import metrics
from beam_s3box.engine.commit import announce, commit_of_run
from beam_s3box.engine.dead_letters import DeadLetterFiles
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.intake import WARNINGS, Intake, TakesNote
from beam_s3box.engine.manifests import Manifest, ManifestPlan, plan_manifests
from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_totals import RunInput, joined_input
from beam_s3box.engine.shard_builder import DEFAULT_MIN_FILL, Flushed, Key, ShardBuilder
from beam_s3box.engine.shard_rows import write_lists
from beam_s3box.engine.uploads import Uploader, UploadQueue
from beam_s3box.errors import ConfigurationError, OutdatedWorkError
from beam_s3box.formats import encoders_of
from beam_s3box.metrics import Metrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.event_times import MICROS, EventTimes
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.records.rejected_records import RejectedRecord, RejectedRecords
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import Segment, ShardFile, size_of
from beam_s3box.shards.runs import new_origin
from beam_s3box.shards.window_names import window_name
from beam_s3box.system.outside import sleep, wall_seconds
from beam_s3box.system.threads import Threads

if TYPE_CHECKING:
    from beam_s3box.records.column_batch import ColumnBatch


class Packed(NamedTuple):
    """What a packer did.

    Attributes:
      records_in: lines taken.
      shards: in the store.
      manifests: in the store.
      totals: of what came in, with the dead letters by reason.
    """

    records_in: int
    shards: list[ShardFile]
    manifests: list[Manifest]
    totals: InputTotals

    @property
    def dead_letters(self) -> int:
        """Records that could not be packed."""
        return self.totals.rejected


class PackedPart(NamedTuple):
    """What a packer did with a part of a run, which others join and list.

    Attributes:
      shards: in the store.
      remainders: what is too little for a shard, by stream, window and lane.
      totals: of what came in, by file.
    """

    shards: list[ShardFile]
    remainders: list[tuple[Key, Segment]]
    totals: dict[str, InputTotals]


class LinePacker:
    """Packs lines of JSON into shards, and lists them in manifests. For one thread.

    *Guarantees*: after `finish`, every line is in exactly one shard or among the dead letters, and every shard in
    exactly one manifest. A failure raises at the next call. After that, after an exception that a signal handler raised
    within a call, and when a `with` is left before `finish`, it takes nothing more and writes no manifest, and what is
    in the store stays unlisted.

    Args:
      plan: of the run.
      counts: takes the figures while it works.
      warnings: takes note of dead letters.

    Attributes:
      source: what is known of the input beyond its records, for the run's record; may be set before `finish`.
    """

    source: RunInput | None = None

    def __init__(self, plan: RunPlan, counts: Metrics, warnings: TakesNote = WARNINGS) -> None:
        self._plan = plan
        self._counts = counts
        self._routers: dict[str | None, Router] = {}
        self._process = os.getpid()
        self._codec = Threads(max(2, os.cpu_count() or 2), "beam_s3box-codec")
        self._threads = Threads(plan.upload_concurrency, "beam_s3box-upload")
        origin = new_origin()
        self._builder = ShardBuilder(
            plan.format, plan.limits_of, self._codec, origin, plan.budget, min_fill_to_seal=0.0
        )
        self._queue = UploadQueue(Uploader(plan.store, plan.format, plan.layout), self._threads, counts)
        self._letters = DeadLetterFiles(plan.store, plan.layout, self._codec, self._threads)
        self._intake = Intake(plan, counts, warnings)
        self._records_in = 0
        self._originals: Mapping[int, bytes] | None = None
        self._listed_at = 0.0
        self._shards: list[ShardFile] = []
        self._claimed = False
        self._ended = False
        self._in_step = False
        self._is_uploaded = False

    def __enter__(self) -> LinePacker:
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        # an interrupt that ends all at once does not wait for the store
        if isinstance(value, Exception) and self._claimed:
            self._plan.claim.fail_by(self._plan.store, value)

    def pack(self, batch: LineBatch | RejectedLines | list[bytes], originals: Sequence[bytes] | None = None) -> None:
        """Take lines of JSON without line breaks; waits while too much is on its way to the store.

        Args:
          batch: lines, or those that a reader has rejected.
          originals: what the lines of a batch were made of, for dead letters; default: the lines.

        Raises:
          RecordError: a record is invalid, and the plan says that this is an error.
          DeadLettersError: more records are invalid than the plan says.
          StoreError: an upload failed, after its retries.
        """
        with self._poison_on_error():
            self._claim()
            self._originals = None if originals is None else _by_identity(batch, originals)
            for window, lines in self._windows_of(batch):
                if isinstance(lines, RejectedLines):
                    self._reject(lines)
                else:
                    self._pack(lines, window)
            self._upload(self._builder.poll())

    def pack_columns(self, batch: ColumnBatch) -> None:
        """Take rows that were read as columns; waits and raises as `pack` does."""
        # whoever gives columns has what they are made with
        from beam_s3box.records.column_times import split_columns

        times = self._plan.times
        with self._poison_on_error():
            self._claim()
            self._originals = None
            if times is None:
                self._pack_columns(batch, "")
            else:
                for start, rows in split_columns(batch, times):
                    if isinstance(rows, RejectedLines):
                        self._reject(rows)
                    elif isinstance(rows, LineBatch):
                        self._pack(rows, _window_of(start, times))
                    else:
                        self._pack_columns(rows, _window_of(start, times))
            self._upload(self._builder.poll())

    def finish(self) -> Packed:
        """Seal what is left, wait until all of it is in the store, and write the manifests.

        When manifests could not be written, the same call again writes those that are missing.

        Raises:
          DeadLettersError: more records are dead letters than the plan says; they are in the store, and nothing is
            listed.
          RunExistsError: another run wrote manifests under this run id.
          StoreError: the store rejected it or failed, after its retries.
          NotifyError: the run is committed, and `on_commit` failed; the same call calls it again.
        """
        self._check_open()
        self._claim()
        if not self._is_uploaded:
            with self._poison_on_error():
                self._upload(self._builder.finish())
                self._shards += self._queue.finish()
                self._letters.finish()
                self._is_uploaded = True
        totals = self._intake.run_totals()
        self._plan.dead_letter_limit.check(totals, self._plan.dead_letters_url)
        listed = self._write_manifests()
        manifests = [manifest for manifest, _ in listed if manifest is not None]
        plan = self._plan
        self._listed_at = self._listed_at or wall_seconds()  # called again, it writes the same lists
        detail = write_lists(plan.store, plan.layout, listed, totals, self._listed_at)
        detail = detail._replace(input=joined_input(self.source, detail.input))
        size, shards = size_of(self._shards), len(self._shards)
        plan.claim.finish(plan.store, manifests, size, shards, detail)
        announce(plan.on_commit, commit_of_run(plan.store, plan.layout, manifests, size, shards, totals.rejected))
        self._ended = True
        return Packed(self._records_in, self._shards, manifests, totals)

    def finish_part(self, min_fill_to_seal: float = DEFAULT_MIN_FILL) -> PackedPart:
        """Seal what fills at least so much of a shard, wait until it is in the store, and list nothing.

        Raises:
          StoreError: the store rejected it or failed, after its retries.
        """
        with self._poison_on_error():
            flushed = self._builder.finish(min_fill_to_seal)
            self._upload(flushed)
            self._shards += self._queue.finish()
            self._letters.finish()
        self._ended = True
        return PackedPart(self._shards, flushed.remainders, self._intake.totals())

    def close(self) -> None:
        """Give up what was not finished: it stays unlisted."""
        self._ended = True
        self._queue.abandon()
        self._letters.abandon()

    def _windows_of(
        self, batch: LineBatch | RejectedLines | list[bytes]
    ) -> Iterable[tuple[str, LineBatch | RejectedLines | list[bytes]]]:
        """Return the lines of each window, with its name."""
        times = self._plan.times
        if times is None or isinstance(batch, RejectedLines):
            return (("", batch),)
        lines = batch if isinstance(batch, LineBatch) else LineBatch(batch, "", [None] * len(batch))
        return ((_window_of(start, times), some) for start, some in times.splitter.split(lines))

    def _pack(self, batch: LineBatch | list[bytes], window: str) -> None:
        lines = batch.lines if isinstance(batch, LineBatch) else batch
        domain = batch.domain if isinstance(batch, LineBatch) else None
        groups, rejected = self._router_of(domain).route_lines(lines)
        self._count(len(lines), rejected, batch if isinstance(batch, LineBatch) else None)
        for stream, group in groups.items():
            self._builder.add((stream, window, 0), group)

    def _pack_columns(self, batch: ColumnBatch, window: str) -> None:
        groups, left = self._router_of(None).route_columns(batch)
        self._count(len(batch) - (0 if left is None else len(left)), [], LineBatch([], batch.source, ()))
        for stream, group in groups.items():
            self._builder.add_text((stream, window, 0), group.text, len(group.places))
        for lines in () if left is None else left.to_lines():
            self._pack(lines, window)

    def _router_of(self, domain: str | None) -> Router:
        """Return the router of lines whose domain their source knew, or of all others."""
        router = self._routers.get(domain)
        if router is None:
            plan = self._plan
            named = dataclasses.replace(plan.selector, domain=domain, domain_field=None) if domain else plan.selector
            router = self._routers[domain] = Router(named, plan.rules, encoders_of(plan.format))
        return router

    def _reject(self, rejected: RejectedLines) -> None:
        reason, detail, batch = rejected.reason, rejected.detail, rejected.batch
        records = RejectedRecords()
        records.add(None, reason, detail, batch.lines)
        self._count(len(batch.lines), records, batch)

    def reject_row(self, row: RejectedRow) -> None:
        """Take a row that its reader could not make a record of; raises as `pack` does."""
        with self._poison_on_error():
            self._claim()
            routed = self._router_of(None).route(row)
            self._counts.count(metrics.RECORDS_IN)
            letters = self._intake.count(1, [routed] if isinstance(routed, RejectedRecord) else [], [row])
            if letters:
                self._letters.add(letters)

    def _count(self, records: int, rejected: Sequence[RejectedRecord], origin: LineBatch | None) -> None:
        self._records_in += records
        self._counts.count(metrics.RECORDS_IN, records)
        if self._originals is not None and origin is not None and rejected:
            rejected, origin = _with_originals(rejected, origin, self._originals)
        letters = self._intake.count(records, rejected, origin)
        if letters:
            self._letters.add(letters)

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise ConfigurationError(f"this packer belongs to process {self._process}, which this one was forked from")
        if self._in_step:
            raise ConfigurationError("a call broke off, and nothing is listed: pack all again, with a new run_id")
        if self._ended:
            raise ConfigurationError("this packer has ended and takes nothing more: make a new one, with a new run_id")

    @contextlib.contextmanager
    def _poison_on_error(self) -> Iterator[None]:
        """Mark a step as begun until it has ended: after one that broke off, nothing is taken."""
        self._check_open()
        if self._is_uploaded:
            raise ConfigurationError(
                "this packer has ended and takes nothing more, but finish() again lists all it has"
            )
        self._in_step = True
        yield
        self._in_step = False

    def _claim(self) -> None:
        """Claim the run id before the first shard."""
        if not self._claimed:
            self._plan.claim.take(self._plan.store)
            self._claimed = True

    def _upload(self, flushed: Flushed) -> None:
        """Upload what is sealed; a builder that seals everything leaves no remainders."""
        shards = flushed.shards
        shards.reverse()
        while shards:  # each is let go as it is queued
            self._shards += self._queue.add(shards.pop())

    def _write_manifests(self) -> list[tuple[Manifest | None, Sequence[ShardFile]]]:
        """Return the manifests, each with its shards; None for shards without manifests."""
        manifests = self._plan.manifests
        if manifests is None or not self._shards:
            return [(None, self._shards)]
        scopes: dict[tuple[Stream | None, str], list[ShardFile]] = {}
        for file in self._shards:
            scopes.setdefault((manifests.scope(file), file.window), []).append(file)
        planned = [
            each
            for (stream, window), files in scopes.items()
            for each in plan_manifests(stream, window, 0, files, manifests.count)
        ]
        written = self._publish(planned)
        return [(self._written(manifest), each.files) for manifest, each in zip(written, planned, strict=True)]

    def _publish(self, planned: Sequence[ManifestPlan]) -> list[Manifest]:
        """Write the manifests; once more, and later, where an execution that was killed a moment ago has written some.

        In a pipeline the runner does this work again.
        """
        store, claim = self._plan.store, self._plan.claim
        try:
            return Publisher.begin(store, claim).write_all(planned, self._threads)
        except OutdatedWorkError:
            sleep(2 * store.clock_resolution)
            return Publisher.begin(store, claim).write_all(planned, self._threads)

    def _written(self, manifest: Manifest) -> Manifest:
        self._counts.count(metrics.MANIFESTS)
        self._counts.count(metrics.RECORDS_LISTED, manifest.records)
        return manifest


def _window_of(start: int | None, times: EventTimes) -> str:
    """Return the name of a window; of none for lines that are rejected."""
    return "" if start is None else window_name(start, start + times.seconds * MICROS)


def _by_identity(batch: LineBatch | RejectedLines | list[bytes], originals: Sequence[bytes]) -> dict[int, bytes]:
    """Return what each line was made of, by the identity of the line: a router hands back the very lines it got."""
    lines = batch if isinstance(batch, list) else batch.batch.lines if isinstance(batch, RejectedLines) else batch.lines
    return dict(zip(map(id, lines), originals, strict=True))


def _with_originals(
    rejected: Sequence[RejectedRecord], origin: LineBatch, originals: Mapping[int, bytes]
) -> tuple[list[RejectedRecord], LineBatch]:
    """Return rejected records, and the lines that they were among, as what they were made of."""
    lines = [originals.get(id(line), line) for line in origin.lines]
    found = [record._replace(raw=originals.get(id(record.raw), record.raw)) for record in rejected]
    return found, dataclasses.replace(origin, lines=lines)
