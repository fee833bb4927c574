"""Records that could not be packed: kept with the reason, next to the data."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias, overload

import orjson

from beam_s3box.engine.shard_builder import ShardBuilder
from beam_s3box.engine.uploads import Uploader, UploadQueue
from beam_s3box.formats import JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import cut_line_of
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import RejectedRecord
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.limits import LimitsForAll, StreamLimits
from beam_s3box.shards.model import SealedShard
from beam_s3box.shards.runs import new_origin
from beam_s3box.sizes import KiB, MiB
from beam_s3box.stores import Store
from beam_s3box.system.threads import Executor

_FORMAT: Final = dataclasses.replace(JSON_LINES, compression_level=1)
"""Read by people now and then: being fast matters more than being small."""

_LIMITS: Final = StreamLimits(max_object_bytes=8 * MiB)
_PIECE_BYTES: Final = 384 * KiB
"""Of lines that go to the builder together: some make a segment."""

_KEY: Final = (Stream("dead-letters", "dead-letters"), "", 0)
"""Under which the builder collects dead letters; it is in no object's key."""


_Head: TypeAlias = tuple[tuple[str | None, str | None], str, str]
"""Stream, reason and detail of a dead letter."""


class DeadLetter(NamedTuple):
    """A record that could not be packed.

    Attributes:
      domain, namespace: its stream, None if that is not known.
      reason: one of `beam_s3box.records.encoding.REASONS`.
      detail: what exactly is wrong.
      raw: the record's own bytes, its JSON, or its repr if it has no JSON.
      source: the file or partition that it was read from; None where the pipeline does not know it.
      line: its line or row in the file, from 1.
      offset: its position in the partition; of a file the byte at which the count of lines begins, where workers share
        a large one.
      sequence_number: its position in a shard of Kinesis, which no whole number of 64 bits has.
    """

    domain: str | None
    namespace: str | None
    reason: str
    detail: str
    raw: bytes
    source: str | None = None
    line: int | None = None
    offset: int | None = None
    sequence_number: str | None = None


class DeadLetterBatch(Sequence[DeadLetter]):
    """Dead letters of records that came in together, kept by column.

    An input may be bad altogether. To create each dead letter only if somebody asks for it, and to render all without
    that, takes a third of the time.

    Args:
      rejected: by the router.
      selector: how records name their streams: a constant half is known even where the record can't be read.
      origin: what the router was given: lines, or rows of one file in the place of the rejected records; None where
        nobody knows where the records came from.
    """

    def __init__(
        self,
        rejected: Sequence[RejectedRecord],
        selector: StreamSelector,
        origin: LineBatch | Sequence[RejectedRow] | None = None,
    ) -> None:
        streams, self.reasons, self._details, self._raws = (
            list(map(operator.itemgetter(column), rejected)) for column in range(len(RejectedRecord._fields))
        )
        self._lines = _lines_of(self._raws, origin)
        self.source: str | None = None
        self._offset: int | None = None
        self._has_positions = False
        domain = selector.domain
        if isinstance(origin, LineBatch):
            self.source, self._offset = origin.source or None, origin.offset or None
            self._has_positions, domain = origin.has_positions, origin.domain or domain
        elif origin:
            self.source = origin[0].source
        if not any(streams):
            self._heads = [(domain, selector.namespace)] * len(streams)
        else:
            self._heads = [stream or (domain, selector.namespace) for stream in streams]

    def __len__(self) -> int:
        return len(self._raws)

    @overload
    def __getitem__(self, index: int) -> DeadLetter: ...

    @overload
    def __getitem__(self, index: slice) -> list[DeadLetter]: ...

    def __getitem__(self, index: int | slice) -> DeadLetter | list[DeadLetter]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        domain, namespace = self._heads[index]
        reason, detail, raw, number = self.reasons[index], self._details[index], self._raws[index], self._lines[index]
        if self._has_positions:
            offset, sequence_number = (None, number) if isinstance(number, str) else (number, None)
            return DeadLetter(domain, namespace, reason, detail, raw, self.source, None, offset, sequence_number)
        line = number if isinstance(number, int) else None
        return DeadLetter(domain, namespace, reason, detail, raw, self.source, line, self._offset)

    @functools.cached_property
    def runs(self) -> list[tuple[_Head, int]]:
        """Neighbours that differ in their record alone: what they share, and how many they are."""
        columns = self._heads, self.reasons, self._details
        if self._raws and all(column.count(column[0]) == len(column) for column in columns):
            # nearly always, and a tenth of the time
            return [((self._heads[0], self.reasons[0], self._details[0]), len(self))]
        return [(head, len(list(run))) for head, run in itertools.groupby(zip(*columns, strict=True))]

    def first_of(self, reason: str) -> DeadLetter:
        """Return the first dead letter of a reason."""
        return self[self.reasons.index(reason)]

    def to_json(self) -> list[bytes]:
        """Return a line of JSON each; bytes that are not UTF-8 are written as hexadecimal, under `raw_hex`."""
        lines: list[bytes] = []
        for head, length in self.runs:
            lines += self._render(head, slice(len(lines), len(lines) + length))
        return lines

    def _render(self, head: _Head, part: slice) -> list[bytes]:
        """Return the lines of a run."""
        (domain, namespace), reason, detail = head
        begin = _begin_of(domain, namespace, reason, detail, self.source, self._offset).replace(b"%", b"%%")
        form = begin + (b',"offset":%b,"line":null' if self._has_positions else b',"line":%b')
        with_text, dumps = form + b',"raw":%b}', orjson.dumps
        raws, numbers = self._raws[part], self._lines[part]
        try:
            return [with_text % (dumps(at), dumps(raw.decode())) for raw, at in zip(raws, numbers, strict=True)]
        except UnicodeDecodeError:
            with_hex = form + b',"raw_hex":"%b"}'
            # a second exception for each would take longer than all else
            texts = [raw.decode(errors="ignore") for raw in raws]
            return [
                with_text % (dumps(at), dumps(text))
                if len(text.encode()) == len(raw)
                else with_hex % (dumps(at), raw.hex().encode("ascii"))
                for raw, text, at in zip(raws, texts, numbers, strict=True)
            ]


class DeadLetterFiles:
    """Writes dead letters to gzip files of JSON lines, create-only, under an origin of their own.

    They take the way of records: compressed on other threads as they come, uploaded while more come in, and held back
    where the store is slow. So they take no more memory than records, however many there are.

    Args:
      store: where to.
      layout: of the run.
      codec: runs the compression.
      threads: run the uploads.
      origin: names the files; default: a new one.
      limits: of a file.
    """

    def __init__(
        self,
        store: Store,
        layout: Layout,
        codec: Executor,
        threads: Executor,
        origin: str | None = None,
        limits: StreamLimits = _LIMITS,
    ) -> None:
        origin = new_origin() if origin is None else origin
        self._builder = ShardBuilder(_FORMAT, LimitsForAll(limits), codec, origin, min_fill_to_seal=0.0)
        self._queue = UploadQueue(_DeadLetterUploader(store, _FORMAT, layout), threads, MemoryMetrics())

    def add(self, letters: DeadLetterBatch) -> None:
        """Keep dead letters; a file is written whenever there are enough.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        lines = letters.to_json()
        step = max(1, len(lines) * _PIECE_BYTES // (sum(map(len, lines)) or 1))
        for start in range(0, len(lines), step):
            self._builder.add(_KEY, lines[start : start + step])
            if self._builder.open_bytes > _PIECE_BYTES:
                self._builder.cut()  # with room left, so that no line of the next piece is looked at alone
        self._upload(self._builder.poll().shards)

    def finish(self) -> None:
        """Write what waits, and wait until all files are in the store.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        self._upload(self._builder.finish().shards)
        self._queue.finish()

    def abandon(self) -> None:
        """Forget what is not in the store."""
        self._queue.abandon()

    def _upload(self, shards: list[SealedShard]) -> None:
        for shard in shards:
            self._queue.add(shard)


class _DeadLetterUploader(Uploader):
    def _key(self, shard: SealedShard, sha256: str) -> str:
        return self._layout.dead_letters(shard.origin, shard.sequence, sha256)


@functools.lru_cache(1_000)
def _begin_of(
    domain: str | None, namespace: str | None, reason: str, detail: str, source: str | None, offset: int | None
) -> bytes:
    fields: dict[str, Any] = {"domain": domain, "namespace": namespace, "reason": reason, "detail": _plain(detail)}
    fields["source"] = source if source is None else _plain(source)
    if offset is not None:
        fields["offset"] = offset
    return orjson.dumps(fields).removesuffix(b"}")


def _plain(text: str) -> str:
    """Return text that UTF-8 can express."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _lines_of(raws: Sequence[bytes], origin: LineBatch | Sequence[RejectedRow] | None) -> Sequence[int | str | None]:
    """Return the number of each rejected record's line in its file.

    A router hands back the very lines that it was given, so that nobody counts lines of which none is rejected; of a
    line that was cut, its beginning.
    """
    if not raws:
        return ()  # as of most batches
    if not isinstance(origin, LineBatch):
        return [row.line for row in origin] if origin else [None] * len(raws)
    if len(raws) == len(origin.lines) and all(map(operator.is_, raws, origin.lines)):
        return origin.numbers
    places: dict[int, list[int | str]] = {}
    for number, line in zip(reversed(origin.numbers), reversed(origin.lines), strict=True):
        places.setdefault(id(line), []).append(number)  # short lines may be one object; each is one line
    return [found.pop() if (found := places.get(id(raw))) else _line_of_cut(raw, origin) for raw in raws]


def _line_of_cut(head: bytes, batch: LineBatch) -> int | str | None:
    cut = zip(batch.numbers, map(cut_line_of, batch.lines), strict=True)
    return next((number for number, line in cut if line and line.head == head), None)
