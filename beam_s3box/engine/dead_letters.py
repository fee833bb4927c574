"""Records that could not be packed: kept with the reason, next to the data."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple

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
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store
from beam_s3box.system.threads import Executor

_FORMAT: Final = dataclasses.replace(JSON_LINES, level=1)
"""Read by people now and then: being fast matters more than being small."""

_LIMITS: Final = StreamLimits(max_object_bytes=8 * MiB)
_KEY: Final = (Stream("dead-letters", "dead-letters"), "", 0)
"""Under which the builder collects dead letters; it is in no object's key."""


class DeadLetter(NamedTuple):
    """A record that could not be packed.

    Attributes:
      domain, namespace: its stream, None if that could not be told.
      reason: one of `beam_s3box.records.encoding.REASONS`.
      detail: what exactly is wrong.
      raw: the record's own bytes, its JSON, or its repr if it has no JSON.
      source: the file that it was read from; None where the pipeline does not know it.
      line: its line or row in the file, from 1.
      offset: the byte of the file at which the count of lines begins, where workers share a large file.
    """

    domain: str | None
    namespace: str | None
    reason: str
    detail: str
    raw: bytes
    source: str | None = None
    line: int | None = None
    offset: int | None = None

    def to_json(self) -> bytes:
        """Return one line of JSON; bytes that are not UTF-8 are written as hexadecimal, under `raw_hex`."""
        return next(to_json_lines((self,)))


def dead_letters_of(
    rejected: Sequence[RejectedRecord], selector: StreamSelector, origin: LineBatch | RejectedRow | None = None
) -> list[DeadLetter]:
    """Return rejected records as dead letters.

    Args:
      rejected: by the router.
      selector: how records name their streams: a constant half is known even where the record can't be read.
      origin: what the router was given; None where nobody knows where the records came from.
    """
    if not rejected:
        return []
    streams, reasons, details, raws = zip(*rejected, strict=True)
    known = [stream or (selector.domain, selector.namespace) for stream in streams]
    domains, namespaces = zip(*known, strict=True)
    source = None if origin is None else origin.source or None
    offset = (origin.offset or None) if isinstance(origin, LineBatch) else None
    columns = (domains, namespaces, reasons, details, raws, repeat(source), _lines_of(raws, origin), repeat(offset))
    # an input may be bad altogether: without a call for each of them it takes a third of the time
    return list(map(_new_letter, zip(*columns)))  # noqa: B905 - what is repeated has no end


def to_json_lines(letters: Iterable[DeadLetter]) -> Iterator[bytes]:
    """Yield `DeadLetter.to_json()` of each."""
    # most neighbours in an input that is bad share all but record and line
    for head, group in itertools.groupby(letters, _head):
        begin = _begin_of(*head)
        for _, _, _, _, raw, _, line, _ in group:
            number = b"null" if line is None else b"%d" % line
            try:
                yield b'%b%b,"raw":%b}' % (begin, number, orjson.dumps(raw.decode()))
            except UnicodeDecodeError:
                yield b'%b%b,"raw_hex":"%b"}' % (begin, number, raw.hex().encode("ascii"))


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

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Keep dead letters; a file is written whenever there are enough.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        self._builder.add(_KEY, list(to_json_lines(letters)))
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


_new_letter: Final = functools.partial(tuple.__new__, DeadLetter)

_head: Final = operator.itemgetter(0, 1, 2, 3, 5, 7)
"""All of a dead letter but its record and line: most neighbours of an input that is bad share it."""


@functools.lru_cache(1_000)
def _begin_of(
    domain: str | None, namespace: str | None, reason: str, detail: str, source: str | None, offset: int | None
) -> bytes:
    fields: dict[str, Any] = {"domain": domain, "namespace": namespace, "reason": reason, "detail": _plain(detail)}
    fields["source"] = source if source is None else _plain(source)
    if offset is not None:
        fields["offset"] = offset
    return orjson.dumps(fields).removesuffix(b"}") + b',"line":'


def _plain(text: str) -> str:
    """Return text that UTF-8 can express."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _lines_of(raws: Sequence[bytes], origin: LineBatch | RejectedRow | None) -> Iterable[int | None]:
    """Return the number of each rejected record's line in its file.

    A router hands back the very lines that it was given, so that nobody counts lines of which none is rejected; of a
    line that was cut, its beginning.
    """
    if not isinstance(origin, LineBatch):
        return repeat(None if origin is None else origin.line)
    if len(raws) == len(origin.lines) and all(map(operator.is_, raws, origin.lines)):
        return origin.numbers
    places: dict[int, list[int]] = {}
    for number, line in zip(reversed(origin.numbers), reversed(origin.lines), strict=True):
        places.setdefault(id(line), []).append(number)  # short lines may be one object; each is one line
    return [found.pop() if (found := places.get(id(raw))) else _line_of_cut(raw, origin) for raw in raws]


def _line_of_cut(head: bytes, batch: LineBatch) -> int | None:
    cut = zip(batch.numbers, map(cut_line_of, batch.lines), strict=True)
    return next((number for number, line in cut if line and line.head == head), None)
