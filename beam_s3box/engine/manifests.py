"""Manifests: the lists of shards that Redshift's COPY loads. Which shards each one lists, and its text."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import orjson

from beam_s3box.checks import check_whole
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile

_ENTRIES = 5_000
"""Entries of a manifest that are rendered together."""

_HEAD = b'{\n  "entries": ['
MAX_FILES_IN_PLAN = 20_000
"""Shards in one plan: about 6 MB as an element of a pipeline; Dataflow accepts 80 MB."""


@dataclasses.dataclass(frozen=True)
class Manifests:
    """How many manifests a run writes.

    Attributes:
      per: "stream" for separate manifests for each stream, "run" for manifests that list all streams.
      count: number of manifests per stream or run; never more than there are shards.
    """

    per: Literal["stream", "run"] = "stream"
    count: int = 1

    def __post_init__(self) -> None:
        if self.per not in ("stream", "run"):
            raise ConfigurationError(f"per={self.per!r} must be 'stream' or 'run'")
        check_whole("count", self.count, 1, hint="; use manifests=None to write none")

    def scope(self, file: ShardFile) -> Stream | None:
        """Return the stream whose manifests list the shard, or None for the manifests of the run."""
        return file.stream if self.per == "stream" else None


class Manifest(NamedTuple):
    """One manifest in the store.

    Attributes:
      domain, namespace: the stream whose shards it lists, or None if it lists all streams.
      window: the window's name in keys, "" for the global window.
      pane: the number of the firing of that window, from 0.
      url: its URL, as COPY takes it.
      key: its key below the store's root.
      shards, records, raw_bytes, object_bytes: the totals of what it lists.
      sha256: the SHA-256 of its text, hexadecimal.
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


class Replaced(NamedTuple):
    """A manifest whose records another manifest lists too, in fewer shards.

    Attributes:
      url: its URL.
      sha256: the SHA-256 of its text when it was replaced, hexadecimal.
      records: the number of records that it lists.
    """

    url: str
    sha256: str
    records: int


class ManifestPlan(NamedTuple):
    """The shards of one manifest that will be written, or some of them, and its number.

    Attributes:
      stream: the stream of the shards, None for all streams.
      window, pane: the firing of the manifest.
      number, siblings: this is manifest `number`, from 0, of `siblings`.
      files: the shards, sorted by key. In a bounded run they have no URLs, which their keys tell.
      firing: the number of the firing among all firings of the stream or run, from 0; None in a bounded run, where a
        window fires once.
      lineage: the hexadecimal digest of this firing and of all before it, which is a part of the text. Equal lists with
        different predecessors are different texts, so that outdated work never mistakes them for its own. "" in a
        bounded run.
      replaces: the manifests that this one replaces, as the compaction of a run does.
    """

    stream: Stream | None
    window: str
    pane: int
    number: int
    siblings: int
    files: tuple[ShardFile, ...]
    firing: int | None = None
    lineage: str = ""
    replaces: tuple[Replaced, ...] = ()


def split_evenly(files: Iterable[ShardFile], count: int) -> list[list[ShardFile]]:
    """Return the shards in `min(count, shards)` lists of about equal bytes; each shard is in exactly one list.

    The largest remaining shard is added to the list with the fewest bytes and, among these, the fewest shards. The
    order of the input does not matter.
    """
    ordered = sorted(files, key=lambda file: (-file.object_bytes, file.key))
    lists: list[list[ShardFile]] = [[] for _ in range(min(count, len(ordered)))]
    loads = [(0, 0, number) for number in range(len(lists))]
    for file in ordered:
        size, length, number = loads[0]
        lists[number].append(file)
        heapq.heapreplace(loads, (size + file.object_bytes, length + 1, number))
    return lists


def merge_rows(files: Iterable[ShardFile]) -> list[ShardFile]:
    """Return each shard once: a runner with at-least-once delivery may deliver a row twice.

    Raises:
      S3BoxError: two shards with different content have the same key; no manifest may list either.
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
    """Return the plans of the manifests of one firing; each shard is in one of them. Without shards there are none."""
    lists = split_evenly(merge_rows(files), count)
    return [
        ManifestPlan(stream, window, pane, number, len(lists), tuple(sorted(part, key=_key)), firing)
        for number, part in enumerate(lists)
    ]


def split_plan(plan: ManifestPlan, size: int = MAX_FILES_IN_PLAN) -> Iterator[ManifestPlan]:
    """Yield the plan in parts that are small enough for an element of a pipeline; `join_plans` joins them."""
    for begin in range(0, len(plan.files), size):
        yield plan._replace(files=plan.files[begin : begin + size])


def join_plans(pieces: Iterable[ManifestPlan]) -> ManifestPlan:
    """Return the plan that `split_plan` split into these parts, in any order and with any repetitions."""
    plans = list(map(ManifestPlan._make, pieces))
    files = merge_rows(ShardFile._make(file) for plan in plans for file in plan.files)
    return plans[0]._replace(files=tuple(sorted(files, key=_key)))


def render_manifest(
    files: Sequence[ShardFile],
    lineage: str = "",
    replaces: Sequence[Replaced] = (),
    url_of: Callable[[str], str] | None = None,
) -> bytes:
    """Return the text of a manifest: JSON in UTF-8, with mandatory entries only.

    Args:
      files: the shards that it lists.
      lineage: see `ManifestPlan`.
      replaces: see `ManifestPlan`.
      url_of: returns the URL of a key, for shards that have none.

    Source: "Using a manifest to specify data files" in Amazon Redshift's developer guide; `meta` as UNLOAD writes it.
    """
    # in parts, joined once: the entries of a manifest of 100,000 shards take more memory than its text
    parts = [_HEAD]
    for begin in range(0, len(files), _ENTRIES):
        parts += [_render_entries(files[begin : begin + _ENTRIES], url_of), b","]
    parts[-1] = b"\n  ]"
    if replaces:
        document = orjson.dumps({"replaces": [manifest._asdict() for manifest in replaces]}, option=orjson.OPT_INDENT_2)
        parts += [b",", document.removeprefix(b"{").removesuffix(b"\n}")]
    return b"".join([*parts, b"\n}\n", _blanks(lineage)])


def _render_entries(files: Sequence[ShardFile], url_of: Callable[[str], str] | None) -> bytes:
    entries = [
        {
            "url": url_of(file.key) if url_of and not file.url else file.url,
            "mandatory": True,
            "meta": {"content_length": file.object_bytes, "record_count": file.records},
        }
        for file in files
    ]
    document = orjson.dumps({"entries": entries}, option=orjson.OPT_INDENT_2)
    return document.removeprefix(_HEAD).removesuffix(b"\n  ]\n}")


def _key(file: ShardFile) -> str:
    return file.key


def _blanks(lineage: str) -> bytes:
    """Return 64 bits of a digest as a line of spaces and tabs, which readers of JSON ignore."""
    return f"{int(lineage[:16], 16):064b}\n".translate({ord("0"): " ", ord("1"): "\t"}).encode() if lineage else b""
