"""Manifests: the lists of shards that Redshift's COPY loads. Written last, they are the commit."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
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


def write_manifest(store: Store, layout: Layout, plan: ManifestPlan, *, replace: bool = False) -> Manifest:
    """Write one manifest and return its description.

    Args:
      store: where to.
      layout: of the run.
      plan: what it lists.
      replace: whether it takes the place of one that is there; else it is create-only.

    Raises:
      RunExistsError: another manifest has this key: an earlier run of the same id wrote it.
      StoreError: the store refused or failed, after its retries.
    """
    key = layout.manifest(plan.stream, plan.window, plan.pane, plan.number, plan.siblings)
    body = render_manifest(plan.files)
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        if replace:
            store.put(key, body, sha256=sha256, content_type=_CONTENT_TYPE, replace=True)
        else:
            put_once(store, key, body, sha256, _CONTENT_TYPE)
    except ObjectExistsError as exc:
        raise RunExistsError(
            f"{store.url(key)} is there with other shards: run_id={layout.run_id!r} already wrote manifests; use a new "
            "run_id"
        ) from exc
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
