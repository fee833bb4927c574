"""Which manifests a compaction replaces by which, and which shards it joins: neighbours, in their order."""

from __future__ import annotations

import collections
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from beam_s3box.engine.manifests import Manifest
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.packing import BY_INPUT_END, BY_OBJECT_BYTES

MAX_REPLACED: Final = 100
"""Manifests that one replaces: their names must fit the statements of one load, with the Data API 100 KB."""

_ID_CHARACTERS: Final = 24
_INTERVAL = re.compile(r"(?P<begin>\S+Z)-(?P<end>\S+Z)")


class Source(NamedTuple):
    """A manifest of the run, with the shards that it lists.

    Attributes:
      manifest: the manifest; None for all shards of a run without manifests.
      shards: the shards, in the manifest's order.
    """

    manifest: Manifest | None
    shards: Sequence[ShardFile]


class JoinedShard(NamedTuple):
    """A shard that will be made of others.

    Attributes:
      stream: the stream of its records.
      window: the name of its window, which reaches from the first window of its records to the last.
      shards: the shards that it is made of, in order.
      sealed_by: why it takes no more of them.
    """

    stream: Stream
    window: str
    shards: tuple[ShardFile, ...]
    sealed_by: str


class Replacement(NamedTuple):
    """A manifest that will replace others.

    Attributes:
      sources: what it replaces, in order.
      shards: what it will list.
    """

    sources: tuple[Source, ...]
    shards: tuple[JoinedShard, ...]

    @property
    def stream(self) -> Stream | None:
        """The stream of its manifests, None if they list all streams."""
        first = self.sources[0].manifest
        return _stream_of(first) if first is not None else None


def plan_replacements(sources: Iterable[Source], max_object_bytes: int) -> list[Replacement]:
    """Return the manifests that replace others, without those that would list as many shards as before.

    Args:
      sources: the manifests of the run, in their order.
      max_object_bytes: the largest size of a joined shard.
    """
    planned = (
        Replacement(tuple(group), tuple(_join(group, max_object_bytes)))
        for group in _groups(sorted(sources, key=_scope_of))
    )
    return [each for each in planned if any(len(joined.shards) > 1 for joined in each.shards)]


def compaction_id(run_id: str, replacements: Iterable[Replacement], max_object_bytes: int) -> str:
    """Return the run id of a compaction: the same for the same work, so that it can be repeated."""
    digest = hashlib.sha256(f"{run_id}\n{max_object_bytes}\n".encode())
    for replacement in replacements:
        for source in replacement.sources:
            names = [source.manifest.key, source.manifest.sha256] if source.manifest else map(_key, source.shards)
            digest.update("\n".join([*names, ""]).encode())
    return f"compact-{digest.hexdigest()[:_ID_CHARACTERS]}"


def _key(shard: ShardFile) -> str:
    return shard.key


def _scope_of(source: Source) -> Stream:
    stream = _stream_of(source.manifest) if source.manifest is not None else None
    return stream if stream is not None else Stream("", "")


def _stream_of(manifest: Manifest) -> Stream | None:
    if manifest.domain is None or manifest.namespace is None:
        return None
    return Stream(manifest.domain, manifest.namespace)


def _groups(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """Yield neighbours of one scope, at most `MAX_REPLACED`."""
    group: list[Source] = []
    for source in sources:
        if group and (len(group) == MAX_REPLACED or _scope_of(group[0]) != _scope_of(source)):
            yield group
            group = []
        group.append(source)
    if group:
        yield group


def _join(group: Iterable[Source], max_object_bytes: int) -> Iterator[JoinedShard]:
    """Yield the shards of one manifest: neighbours of one stream and folder, as many as fit."""
    waiting: dict[tuple[str, ...], list[ShardFile]] = {}
    sizes: collections.Counter[tuple[str, ...]] = collections.Counter()
    for shard in (shard for source in group for shard in source.shards):
        place = _place(shard)
        joined = waiting.setdefault(place, [])
        if joined and sizes[place] + shard.object_bytes > max_object_bytes:
            yield _joined(joined, BY_OBJECT_BYTES)
            joined.clear()
            sizes[place] = 0
        joined.append(shard)
        sizes[place] += shard.object_bytes
    for joined in waiting.values():
        yield _joined(joined, BY_INPUT_END)


def _joined(shards: Sequence[ShardFile], sealed_by: str) -> JoinedShard:
    return JoinedShard(shards[0].stream, _span([shard.window for shard in shards]), tuple(shards), sealed_by)


def _place(shard: ShardFile) -> tuple[str, ...]:
    """Return what shards must have in common to be joined: stream, kind of window, and folder but for the window.

    Folders may hold the window's day or hour, by which other programs choose what to read.
    """
    folders = shard.key.split("/")[:-1]
    interval = _INTERVAL.fullmatch(shard.window)
    window = "" if interval else shard.window
    kind = "interval" if interval else "other"
    return (*shard.stream, kind, window, *("{window}" if part == shard.window else part for part in folders))


def _span(windows: Sequence[str]) -> str:
    """Return the name of the window that reaches over these."""
    if len(set(windows)) == 1:
        return windows[0]
    bounds = [match for window in windows if (match := _INTERVAL.fullmatch(window))]
    return f"{min(match['begin'] for match in bounds)}-{max(match['end'] for match in bounds)}"
