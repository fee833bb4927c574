"""Runs made by hand, without Beam, and what their manifests list in the end, read with nothing of the package."""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import fastavro

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_record import NO_DETAIL, RunOrigin
from beam_s3box.engine.shard_rows import write_lists
from beam_s3box.engine.uploads import Uploader
from beam_s3box.formats import JSON_LINES, Format
from beam_s3box.formats.base import encoders_of
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import DEFAULT_DATA_KEY, Layout
from beam_s3box.shards.model import SealedShard, ShardFile, size_of
from beam_s3box.shards.runs import new_origin, new_token
from beam_s3box.stores import Store
from tests.readback import strict_gunzip

CLICKS = Stream("web", "clicks")
VIEWS = Stream("web", "views")


class Part(NamedTuple):
    """The shards of one manifest.

    Attributes:
      shards: the ids in each.
      stream: of all of them.
      window: of all of them.
    """

    shards: Sequence[Sequence[int]]
    stream: Stream = CLICKS
    window: str = ""


class Made:
    """A run that is being written.

    Attributes:
      claim: to its id.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        *,
        bounded: bool = True,
        format: Format = JSON_LINES,
        template: str = DEFAULT_DATA_KEY,
        per: str = "stream",
    ) -> None:
        origin = RunOrigin(kind="pack", settings={"key_template": template, "manifest_scope": "stream"})
        self.store = store
        self.claim = RunClaim(Layout(run_id, data_key=template), new_token(), bounded=bounded, origin=origin)
        self.claim.take(store)
        self._format = format
        self._uploader = Uploader(store, format, self.claim.layout)
        self._origin = new_origin()
        self._sequence = 0
        self._lineages: dict[Stream | None, Lineage] = {}
        self._per = per

    def shard(self, part: Part, ids: Iterable[int], size: int = 0) -> ShardFile:
        """Write a shard with these ids; nothing lists it."""
        self._sequence += 1
        encode = (encoders_of(self._format) or (lambda stream: bytes))(part.stream)
        lines = [encode(json.dumps({"id": number, **padding(number, size)}).encode()) for number in ids]
        segments = tuple(self._format.cut([line]) for line in lines)
        sealed = SealedShard(part.stream, part.window, self._origin, self._sequence, "records", segments)
        return self._uploader.upload(sealed).file

    def finish(self, parts: Sequence[Part], *, lists: bool = True, manifests: bool = True) -> list[Manifest]:
        """Write shards and manifests of a bounded run, and finish it."""
        files = [[self.shard(part, ids) for ids in part.shards] for part in parts]
        counts: dict[tuple[Any, str], int] = {}
        plans = []
        for part, shards in zip(parts, files, strict=True):
            stream = part.stream if self._per == "stream" else None
            number = counts.setdefault((stream, part.window), 0)
            counts[stream, part.window] += 1
            plan = plan_manifests(stream, part.window, 0, shards, 1)[0]
            plans.append(plan._replace(number=number, siblings=number + 1))
        publisher = Publisher.begin(self.store, self.claim)
        written = [publisher.write(plan) for plan in plans] if manifests else []
        everything = [shard for shards in files for shard in shards]
        listed: list[tuple[Manifest | None, Sequence[ShardFile]]] = [(None, everything)]
        if manifests:
            listed = [(manifest, plan.files) for manifest, plan in zip(written, plans, strict=True)]
        totals = InputTotals(accepted=size_of(everything).records)
        written_lists = write_lists(self.store, self.claim.layout, listed, totals, time.time())
        detail = written_lists if lists else NO_DETAIL
        self.claim.finish(self.store, written, size_of(everything), len(everything), detail)
        return written

    def fire(self, part: Part, files: Sequence[ShardFile] = (), *, lists: bool = True) -> Manifest:
        """Write the next firing of an unbounded run; `files` are shards that were written before."""
        stream = part.stream if self._per == "stream" else None
        files = files or [self.shard(part, ids) for ids in part.shards]
        lineage = self._lineages.get(stream, Lineage())
        plans = lineage.number(plan_manifests(stream, part.window, 0, files, 1))
        publisher = Publisher.begin(self.store, self.claim)
        if lists:
            publisher.write_rows(plans, time.time())
        written = publisher.write_firing(plans, lineage)
        self._lineages[stream] = lineage.after(written[0].key, plans[0])
        return written[0]

    def roll_back(self, stream: Stream, firings: int, lineage: Lineage | None = None) -> None:
        """Go back to a state with so many firings."""
        self._lineages[stream] = lineage or Lineage(firings)


def padding(number: int, size: int) -> Mapping[str, str]:
    """Return a field that makes a record large, and does not compress."""
    import hashlib

    return {"x": hashlib.shake_256(b"%d" % number).hexdigest(size // 2)} if size else {}


class Listing(NamedTuple):
    """What counts in a store.

    Attributes:
      ids: by manifest that counts and that no finished compaction replaces, in order.
      shards: the keys of their shards.
    """

    ids: dict[str, list[int]]
    shards: list[str]

    @property
    def all_ids(self) -> list[int]:
        return sorted(number for ids in self.ids.values() for number in ids)


def listing(store: Store) -> Listing:
    """Read everything that counts, as somebody does who knows the documented layout."""
    texts = {info.key: store.get(info.key) for info in store.list("manifests/")}
    counting = set()
    replaced = set()
    for info in store.list("runs/"):
        if info.key.count("/") > 1 or not info.key.endswith(".json"):
            continue
        record = json.loads(store.get(info.key))
        own = [key for key in texts if key.startswith(f"manifests/{record['run_id']}/")]
        if not record["bounded"]:
            counting |= set(own)
        elif record["state"] == "finished":
            counting |= {manifest["key"] for manifest in record["manifests"]}
    for key in counting:
        replaced |= {row["url"].removeprefix(f"{store.root}/") for row in json.loads(texts[key]).get("replaces", [])}
    ids, shards = {}, []
    for key in sorted(counting - replaced):
        entries = json.loads(texts[key])["entries"]
        keys = [entry["url"].removeprefix(f"{store.root}/") for entry in entries]
        shards += keys
        ids[key] = [number for shard in keys for number in ids_of(store.get(shard))]
        assert len(ids[key]) == sum(entry["meta"]["record_count"] for entry in entries)
        assert [len(store.get(shard)) for shard in keys] == [entry["meta"]["content_length"] for entry in entries]
    assert len(set(shards)) == len(shards), "a shard is listed twice"
    return Listing(ids, shards)


def ids_of(body: bytes) -> list[int]:
    """Return the ids in a shard."""
    if body.startswith(b"Obj"):
        rows: list[Any] = list(fastavro.reader(io.BytesIO(body)))
        return [row["id"] for row in rows]
    text = strict_gunzip(body)
    assert text == gzip.decompress(body)
    found: list[Any] = json.loads(text) if text.startswith(b"[") else list(map(json.loads, text.splitlines()))
    return [row["id"] for row in found]
