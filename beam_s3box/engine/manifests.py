"""Manifests: the lists of shards that Redshift's COPY loads; what each one lists, and its text."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import orjson

from beam_s3box.checks import check_whole
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile

MAX_FILES_IN_PLAN = 20_000
"""Shards in one plan: about 6 MB as an element of a pipeline, where Dataflow takes 80."""


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
        check_whole("count", self.count, 1, hint="; for no manifests give manifests=None")

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
      sha256: of its text, hexadecimal.
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
    sha256: str = ""


class ManifestPlan(NamedTuple):
    """The shards of one manifest to be written, or some of them, and its place among its siblings.

    Attributes:
      stream: whose shards these are, None for a whole run's.
      window, pane: the firing that this belongs to.
      number, siblings: this is manifest `number`, from 0, of `siblings`.
      files: sorted by URL.
      firing: number of the firing among all those of the stream or run, from 0; None in a bounded run, where a window
        fires once.
      lineage: hexadecimal digest of this firing and of all before it, which the text carries: equal lists that follow
        on other ones are other texts, so that outdated work never takes them for its own. "" in a bounded run.
    """

    stream: Stream | None
    window: str
    pane: int
    number: int
    siblings: int
    files: tuple[ShardFile, ...]
    firing: int | None = None
    lineage: str = ""


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


def merge_rows(files: Iterable[ShardFile]) -> list[ShardFile]:
    """Return each shard once: a runner that delivers at least once may bring a row twice.

    Raises:
      S3BoxError: two shards of different content have one key; no manifest may list either.
    """
    found: dict[str, ShardFile] = {}
    for file in files:
        other = found.setdefault(file.key, file)
        if other.sha256 != file.sha256:
            raise S3BoxError(f"two shards have the key {file.key!r}: digests {other.sha256} and {file.sha256}")
    return list(found.values())


def plan_manifests(
    stream: Stream | None,
    window: str,
    pane: int,
    files: Iterable[ShardFile],
    count: int,
    firing: int | None = None,
) -> list[ManifestPlan]:
    """Return the manifests that one firing writes, each shard in one; none if there are no shards."""
    lists = split_evenly(merge_rows(files), count)
    return [
        ManifestPlan(stream, window, pane, number, len(lists), tuple(sorted(part, key=lambda file: file.url)), firing)
        for number, part in enumerate(lists)
    ]


def split_plan(plan: ManifestPlan, size: int = MAX_FILES_IN_PLAN) -> Iterator[ManifestPlan]:
    """Yield the plan in pieces that are small enough to travel; `join_plans` makes the whole of them."""
    for begin in range(0, len(plan.files), size):
        yield plan._replace(files=plan.files[begin : begin + size])


def join_plans(pieces: Iterable[ManifestPlan]) -> ManifestPlan:
    """Return the plan that `split_plan` gave these pieces of, in any order and any number of times."""
    plans = list(map(ManifestPlan._make, pieces))
    files = merge_rows(ShardFile._make(file) for plan in plans for file in plan.files)
    return plans[0]._replace(files=tuple(sorted(files, key=lambda file: file.url)))


def render_manifest(files: Sequence[ShardFile], lineage: str = "") -> bytes:
    """Return the manifest's text: plain UTF-8 JSON, every entry mandatory.

    Args:
      files: that it lists.
      lineage: see `ManifestPlan`.

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
    text = orjson.dumps({"entries": entries}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return text + _blanks(lineage)


def _blanks(lineage: str) -> bytes:
    """Return 64 bits of a digest as a line of spaces and tabs: the one thing that no reader of JSON takes notice of."""
    return f"{int(lineage[:16], 16):064b}\n".translate({ord("0"): " ", ord("1"): "\t"}).encode() if lineage else b""
