"""Records that could not be packed: kept with the reason, next to the data."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from binascii import hexlify
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, overload

import orjson

from beam_s3box.engine.shard_builder import ShardBuilder
from beam_s3box.engine.uploads import Uploader, UploadQueue
from beam_s3box.formats import JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import cut_line_of
from beam_s3box.records.rejected_records import RejectedRecord, RejectedRecords
from beam_s3box.records.rejected_rows import RejectedRow
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

_LINE_BYTES: Final = 20
"""Of a dead letter's line, beyond what it shares with others and its record."""

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
    """Dead letters of records that came in together, kept by runs.

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
        runs = rejected.runs if isinstance(rejected, RejectedRecords) else RejectedRecords(rejected).runs
        self.source: str | None = None
        self._offset: int | None = None
        self._has_positions = False
        domain = selector.domain
        if isinstance(origin, LineBatch):
            self.source, self._offset = origin.source or None, origin.offset or None
            self._has_positions, domain = origin.has_positions, origin.domain or domain
        elif origin:
            self.source = origin[0].source
        nobody = domain, selector.namespace
        self._heads: list[_Head] = [(run.stream or nobody, run.reason, run.detail) for run in runs]
        self._ends = list(itertools.accumulate(len(run.raws) for run in runs))
        self._raws = runs[0].raws if len(runs) == 1 else [raw for run in runs for raw in run.raws]
        self._lines = _lines_of(self._raws, origin)

    def __len__(self) -> int:
        return len(self._raws)

    @overload
    def __getitem__(self, index: int) -> DeadLetter: ...

    @overload
    def __getitem__(self, index: slice) -> list[DeadLetter]: ...

    def __getitem__(self, index: int | slice) -> DeadLetter | list[DeadLetter]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        (domain, namespace), reason, detail = self._heads[bisect_right(self._ends, at)]
        raw, number = self._raws[at], self._lines[at]
        if self._has_positions:
            offset, sequence_number = (None, number) if isinstance(number, str) else (number, None)
            return DeadLetter(domain, namespace, reason, detail, raw, self.source, None, offset, sequence_number)
        line = number if isinstance(number, int) else None
        return DeadLetter(domain, namespace, reason, detail, raw, self.source, line, self._offset)

    @property
    def runs(self) -> list[tuple[_Head, range]]:
        """Neighbours that differ in their record alone: what they share, and which they are."""
        places = itertools.starmap(range, itertools.pairwise([0, *self._ends]))
        return list(zip(self._heads, places, strict=True))

    def texts(self, most_bytes: int) -> Iterator[tuple[bytes, int]]:
        """Yield lines of JSON with line breaks between them, and how many; of bytes that are not UTF-8 as hexadecimal.

        Args:
          most_bytes: of a text, about.
        """
        for ((domain, namespace), reason, detail), places in self.runs:
            begin = _begin_of(domain, namespace, reason, detail, self.source, self._offset)
            begin += b',"offset":' if self._has_positions else b',"line":'
            after = b',"line":null' if self._has_positions else b""
            raw_bytes = sum(map(len, self._raws[places.start : places.stop]))
            step = max(1, len(places) * most_bytes // (len(places) * (len(begin) + _LINE_BYTES) + raw_bytes))
            for start in places[::step]:
                part = slice(start, min(start + step, places.stop))
                yield _text_of(begin, self._lines[part], after, self._raws[part]), part.stop - start


def _text_of(begin: bytes, numbers: Sequence[int | str | None], after: bytes, raws: Sequence[bytes]) -> bytes:
    """Return the lines of dead letters that differ in their numbers and records alone."""
    as_text, as_hex = after + b',"raw":"', after + b',"raw_hex":"'
    names: Iterable[bytes] = itertools.repeat(as_text)
    try:
        texts = b"\n".join(raws).decode().split("\n")
        shown = _quoted(texts if len(texts) == len(raws) else [raw.decode() for raw in raws])
    except UnicodeDecodeError:
        # a further exception for each would take longer than all else
        texts = [raw.decode(errors="ignore") for raw in raws]
        are_whole = [len(text.encode()) == len(raw) for text, raw in zip(texts, raws, strict=True)]
        names = [as_text if is_whole else as_hex for is_whole in are_whole]
        shown = [
            _quoted([text])[0] if is_whole else hexlify(raw)
            for text, is_whole, raw in zip(texts, are_whole, raws, strict=True)
        ]
    counted = orjson.dumps(list(numbers))[1:-1].split(b",")
    end = b'"}\n' + begin
    rows = zip(counted, names, shown, itertools.repeat(end))
    return begin + b"".join(itertools.chain.from_iterable(rows)).removesuffix(end) + b'"}'


def _quoted(texts: Sequence[str]) -> list[bytes]:
    """Return each as JSON has it between quotation marks.

    One call encodes all, with line breaks between them, which no string of JSON has within.
    """
    listed = orjson.dumps(texts, option=orjson.OPT_INDENT_2)
    return listed.removeprefix(b'[\n  "').removesuffix(b'"\n]').split(b'",\n  "')


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
        for text, records in letters.texts(_PIECE_BYTES):
            self._builder.add_text(_KEY, text, records)
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
