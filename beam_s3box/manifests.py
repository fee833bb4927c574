"""Manifests: the lists of shards that Redshift's COPY loads. Written last, they are the commit."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import orjson

from beam_s3box.errors import ConfigurationError, ObjectExistsError, RunExistsError
from beam_s3box.layout import Layout
from beam_s3box.shards import ShardFile
from beam_s3box.stores import Store
from beam_s3box.streams import Stream
from beam_s3box.uploads import put_once

_CONTENT_TYPE = "application/json"
_NAME = re.compile(r"(?P<pane>\d+)-\d{5,}-of-(?P<siblings>\d{5,})\.manifest", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Manifests:
    """How many manifests a run writes.

    Attributes:
      per: "stream" for manifests of their own for each stream, "run" for manifests over all streams.
      count: how many per stream or run; never more than there are shards.
    """

    per: Literal["stream", "run"] = "stream"
    count: int = 1

    def __post_init__(self) -> None:
        if self.per not in ("stream", "run"):
            raise ConfigurationError(f"per={self.per!r} must be 'stream' or 'run'")
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise ConfigurationError(
                f"count={self.count!r} must be a whole number of at least 1; for no manifests give manifests=None"
            )

    def scope(self, file: ShardFile) -> Stream | None:
        """Return the stream whose manifests list the shard, or None for those of the run."""
        return file.stream if self.per == "stream" else None


class Manifest(NamedTuple):
    """One manifest in the store.

    Attributes:
      domain, namespace: the stream whose shards it lists, or None if it lists those of all streams.
      window: the window's name in keys, "" for the global window.
      pane: number of the firing of that window, from 0.
      url: where it is, as COPY takes it.
      key: the same below the store's root.
      shards, records, raw_bytes, object_bytes: what it lists.
    """

    domain: str | None
    namespace: str | None
    window: str
    pane: int
    url: str
    key: str
    shards: int
    records: int
    raw_bytes: int
    object_bytes: int


class ManifestPlan(NamedTuple):
    """The shards of one manifest to be written, and its place among its siblings.

    Attributes:
      stream: whose shards these are, None for a whole run's.
      window, pane: the firing that this belongs to.
      number, siblings: this is manifest `number`, from 0, of `siblings`.
      files: sorted by URL.
    """

    stream: Stream | None
    window: str
    pane: int
    number: int
    siblings: int
    files: tuple[ShardFile, ...]


def split_evenly(files: Iterable[ShardFile], count: int) -> list[list[ShardFile]]:
    """Return the shards in `min(count, shards)` lists of about equal bytes; each shard stands in exactly one.

    The largest shard left goes to the list with the fewest bytes; of several the one with the fewest shards. The order
    of the input does not matter.
    """
    ordered = sorted(files, key=lambda file: (-file.object_bytes, file.url))
    lists: list[list[ShardFile]] = [[] for _ in range(min(count, len(ordered)))]
    loads = [(0, 0, number) for number in range(len(lists))]
    for file in ordered:
        size, length, number = loads[0]
        lists[number].append(file)
        heapq.heapreplace(loads, (size + file.object_bytes, length + 1, number))
    return lists


def plan_manifests(
    stream: Stream | None, window: str, pane: int, files: Iterable[ShardFile], count: int
) -> list[ManifestPlan]:
    """Return the manifests that one firing writes; none if there are no shards."""
    lists = split_evenly(files, count)
    return [
        ManifestPlan(stream, window, pane, number, len(lists), tuple(sorted(part, key=lambda file: file.url)))
        for number, part in enumerate(lists)
    ]


def render_manifest(files: Sequence[ShardFile]) -> bytes:
    """Return the manifest's text: plain UTF-8 JSON, every entry mandatory.

    Source: "Using a manifest to specify data files" in Amazon Redshift's developer guide; `meta` as UNLOAD writes it.
    """
    entries = [
        {
            "url": file.url,
            "mandatory": True,
            "meta": {"content_length": file.object_bytes, "record_count": file.records},
        }
        for file in files
    ]
    return orjson.dumps({"entries": entries}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write_manifest(store: Store, layout: Layout, plan: ManifestPlan) -> Manifest:
    """Write one manifest, create-only, and return its description.

    Raises:
      RunExistsError: another manifest has this key: an earlier run of the same id wrote it.
      StoreError: the store refused or failed, after its retries.
    """
    key, body, sha256 = _rendered(layout, plan)
    try:
        put_once(store, key, body, sha256, _CONTENT_TYPE)
    except ObjectExistsError as exc:
        raise RunExistsError(
            f"{store.url(key)} is there with other shards: run_id={layout.run_id!r} already wrote manifests; use a new "
            "run_id"
        ) from exc
    return _described(store, key, plan)


def rewrite_manifest(store: Store, layout: Layout, plan: ManifestPlan, count: int) -> Manifest:
    """Write one manifest of a run that a runner may set back, and return its description.

    A manifest of this firing that is there with another list was written before the runner went back. Then it is
    replaced; and what was written of later firings of its window, or in another number of parts, is withdrawn: its
    records come again, and may fall into fewer firings than before, so that nothing else would take its place. The
    firings of one window must be written in order.

    Args:
      store: where to.
      layout: of the run.
      plan: what it lists.
      count: manifests that a firing may have at the most.

    Raises:
      AccessError: the right to list or to delete is missing, which this needs after a runner went back.
      StoreError: the store refused or failed, after its retries.
    """
    key, body, sha256 = _rendered(layout, plan)
    if count > 1 and plan.number == 0 and _has_other_parts(store, layout, plan):
        withdraw_manifests(store, layout, plan)
    try:
        put_once(store, key, body, sha256, _CONTENT_TYPE)
    except ObjectExistsError:
        # before the replacement, so that a worker that ends in between finds the conflict again
        withdraw_manifests(store, layout, plan)
        store.put(key, body, sha256=sha256, content_type=_CONTENT_TYPE, replace=True)
    return _described(store, key, plan)


def withdraw_manifests(store: Store, layout: Layout, plan: ManifestPlan) -> None:
    """Remove the manifests that a firing which is written again makes void."""
    for key, pane, siblings in _firings(store, layout, plan):
        if pane > plan.pane or (pane == plan.pane and siblings != plan.siblings):
            store.delete(key)


def _has_other_parts(store: Store, layout: Layout, plan: ManifestPlan) -> bool:
    """Return whether this firing was written before in another number of parts, whose names are others."""
    return any(pane == plan.pane and siblings != plan.siblings for _, pane, siblings in _firings(store, layout, plan))


def _firings(store: Store, layout: Layout, plan: ManifestPlan) -> list[tuple[str, int, int]]:
    """Return key, pane and number of parts of all manifests that the plan's stream and window have by now."""
    prefix = layout.manifests(plan.stream, plan.window)
    places = ((info.key, _NAME.fullmatch(info.key.removeprefix(prefix))) for info in store.list(prefix))
    # below the prefix of the global window are those of other windows, too
    return [(key, int(place["pane"]), int(place["siblings"])) for key, place in places if place]


def _rendered(layout: Layout, plan: ManifestPlan) -> tuple[str, bytes, str]:
    body = render_manifest(plan.files)
    key = layout.manifest(plan.stream, plan.window, plan.pane, plan.number, plan.siblings)
    return key, body, hashlib.sha256(body).hexdigest()


def _described(store: Store, key: str, plan: ManifestPlan) -> Manifest:
    return Manifest(
        domain=plan.stream.domain if plan.stream else None,
        namespace=plan.stream.namespace if plan.stream else None,
        window=plan.window,
        pane=plan.pane,
        url=store.url(key),
        key=key,
        shards=len(plan.files),
        records=sum(file.records for file in plan.files),
        raw_bytes=sum(file.raw_bytes for file in plan.files),
        object_bytes=sum(file.object_bytes for file in plan.files),
    )
