"""Compaction: many small shards become few, in a new run whose manifests say which ones they replace.

The shards and manifests of the old run stay, and `gc` frees the shards when nobody needs them any more. A loader loads
what a manifest lists, or what it replaces, and never both.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from beam_s3box.checks import check_whole
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import Manifest, ManifestPlan, Replaced
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_reader import Run
from beam_s3box.engine.run_record import RunOrigin
from beam_s3box.engine.shard_rows import write_lists
from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import ConfigurationError, ObjectNotFoundError, OutdatedWorkError, S3BoxError
from beam_s3box.metrics import MemoryMetrics, Metrics
from beam_s3box.records.streams import Stream
from beam_s3box.runs.compaction_plan import Replacement, Source, compaction_id, plan_replacements
from beam_s3box.runs.replaced import compacted_manifests, compactions_of
from beam_s3box.runs.shard_joiner import ShardJoiner
from beam_s3box.shards.keys import DEFAULT_DATA_KEY, Layout
from beam_s3box.shards.model import ShardFile, size_of
from beam_s3box.shards.runs import new_origin, new_token
from beam_s3box.sizes import GiB, MiB
from beam_s3box.stores.retries import Retry
from beam_s3box.system.outside import wall_seconds
from beam_s3box.system.threads import Threads

DEFAULT_OBJECT_BYTES: Final = 64 * MiB
DEFAULT_SETTLED_SECONDS: Final = 3600.0
_MAX_OBJECT_BYTES: Final = 5 * GiB
_READERS: Final = 16
_JOINERS: Final = 2
"""Joined shards that are made at the same time; each holds at most the size of one in memory."""

_WAITING: Final = Retry(6, base_seconds=2.0)


class Compacted(NamedTuple):
    """The result of a compaction.

    Attributes:
      run_id: the new run; "" if there was nothing to join.
      parent: the run that was compacted.
      manifests_before, manifests: how many manifests are replaced, and by how many.
      shards_before, shards: how many shards these list.
      object_bytes_before, object_bytes: the bytes of these.
      records: the records in them.
    """

    run_id: str
    parent: str
    manifests_before: int = 0
    manifests: int = 0
    shards_before: int = 0
    shards: int = 0
    object_bytes_before: int = 0
    object_bytes: int = 0
    records: int = 0


@dataclasses.dataclass(frozen=True)
class Compaction:
    """Joins the shards of one run.

    Attributes:
      run: the run.
      max_object_bytes: the largest size of a joined shard.
      settled_seconds: firings of an unbounded run that are younger stay as they are: after a failure the runner may
        write them again.
      counts: takes the figures while it works.

    Raises:
      ConfigurationError: the run has not finished, or an argument can't work.
    """

    run: Run
    max_object_bytes: int = DEFAULT_OBJECT_BYTES
    settled_seconds: float = DEFAULT_SETTLED_SECONDS
    counts: Metrics = dataclasses.field(default_factory=MemoryMetrics)

    def __post_init__(self) -> None:
        check_whole("max_object_bytes", self.max_object_bytes, 1, _MAX_OBJECT_BYTES)
        record = self.run.record
        if record.bounded and record.state != "finished":
            raise ConfigurationError(
                f"run_id={record.run_id!r} can't be compacted: it is {record.state} and not finished, so its manifests "
                "do not count; compact it when it has finished"
            )

    def compact(self) -> Compacted:
        """Compact what is not compacted yet. It may be repeated, and be killed at any time.

        Raises:
          S3BoxError: a shard is damaged or was written by others, or a manifest was written again meanwhile; nothing
            counts that was written.
          StoreError: the store refused or failed, after its retries.
        """
        store, parent = self.run.store, self.run.run_id
        planned = plan_replacements(self._sources(), self.max_object_bytes)
        if not planned:
            return Compacted("", parent)
        run_id = compaction_id(parent, planned, self.max_object_bytes)
        claim = self._claim(run_id)
        mark = f"{run_id}\n".encode()
        put_once(store, self.run.layout.compacted(run_id), mark, hashlib.sha256(mark).hexdigest(), "text/plain")
        claim.take(store)
        try:
            shards, manifests = self._write(planned, claim)
        except Exception as exc:
            claim.fail_by(store, exc)
            raise
        before = [shard for each in planned for source in each.sources for shard in source.shards]
        return Compacted(
            run_id,
            parent,
            manifests_before=sum(source.manifest is not None for each in planned for source in each.sources),
            manifests=len(manifests),
            shards_before=len(before),
            shards=len(shards),
            object_bytes_before=size_of(before).object_bytes,
            object_bytes=size_of(shards).object_bytes,
            records=size_of(shards).records,
        )

    def _sources(self) -> list[Source]:
        """Return the manifests that no compaction replaces yet, in their order, each with its shards."""
        found = list(self._firings() if not self.run.record.bounded else self._finished())
        done = compacted_manifests(self.run.store, self.run.layout)
        return [source for source in found if not (source.manifest and _named(source.manifest) in done)]

    def _finished(self) -> Iterator[Source]:
        shards: dict[str, list[ShardFile]] = collections.defaultdict(list)
        for listed in self.run.shards():
            shards[listed.manifest].append(listed.shard)
        # a compaction lists shards in the order of their records, and every other run by URL
        is_sorted = self.run.record.kind == "compact"
        for manifest in self.run.record.manifests:
            found = shards[manifest.key]
            yield Source(manifest, found if is_sorted else sorted(found, key=_url))
        if not self.run.record.manifests and not any(compactions_of(self.run.store, self.run.layout)):
            yield Source(None, sorted(shards[""], key=_key))

    def _firings(self) -> Iterator[Source]:
        """Yield the firings that are old enough, in the order of their numbers."""
        store, record = self.run.store, self.run.record
        latest = store.now() - (self.settled_seconds if record.state == "running" else 0.0)
        written = {info.key: info.modified for info in store.list(self.run.layout.manifests(None, "", None))}
        for firing in sorted(self.run.firings(), key=lambda firing: firing.manifest.key):
            if written.get(firing.manifest.key, latest) < latest:
                yield Source(firing.manifest, sorted((row.shard for row in firing.shards), key=_url))

    def _claim(self, run_id: str) -> RunClaim:
        from beam_s3box import __version__

        template = str(self.run.record.settings.get("key_template") or DEFAULT_DATA_KEY)
        chosen = {"max_object_bytes": self.max_object_bytes, "key_template": template}
        origin = RunOrigin(kind="compact", version=__version__, settings=chosen, parent=self.run.run_id)
        layout = Layout.below(self.run.store.root, run_id, template)
        return RunClaim(layout, new_token(), origin=origin)

    def _write(self, planned: Sequence[Replacement], claim: RunClaim) -> tuple[Sequence[ShardFile], Sequence[Manifest]]:
        store = self.run.store
        joiner = ShardJoiner(store, claim.layout, new_origin(), Threads(_READERS, "beam_s3box-read"), self.counts)
        wanted = [joined for each in planned for joined in each.shards]
        made = Threads(_JOINERS, "beam_s3box-join").map_ahead(
            lambda numbered: joiner.join(numbered[1], numbered[0]), enumerate(wanted), _JOINERS
        )
        listed = [[next(made) for _ in each.shards] for each in planned]
        shards = [shard for part in listed for shard in part]
        plans = _plan_manifests(planned, listed)
        threads = Threads(_READERS, "beam_s3box-manifests")
        # an execution that was killed a moment ago may have written them: then this one waits, and replaces them
        manifests, _ = _WAITING.run(
            lambda number: Publisher.begin(store, claim).write_all(plans, threads),
            lambda error: isinstance(error, OutdatedWorkError),
        )
        listed_by: list[tuple[Manifest | None, Sequence[ShardFile]]] = [(None, shards)]
        if plans:
            listed_by = [(manifest, plan.files) for manifest, plan in zip(manifests, plans, strict=True)]
        totals = InputTotals(accepted=size_of(shards).records)
        detail = write_lists(store, claim.layout, listed_by, totals, wall_seconds())
        self._check_unchanged(planned, threads)
        claim.finish(store, manifests, size_of(shards), len(shards), detail)
        return shards, manifests

    def _check_unchanged(self, planned: Iterable[Replacement], threads: Threads) -> None:
        """Raise S3BoxError if a manifest was written again or removed since it was read."""
        sources = (source.manifest for each in planned for source in each.sources if source.manifest is not None)
        for url in threads.map_ahead(self._changed, sources, 2 * _READERS):
            if url:
                raise S3BoxError(
                    f"{url} was written again or removed while the run was compacted, as after a failure of its "
                    "runner: nothing of the compaction counts; compact it again, when such firings have settled"
                )

    def _changed(self, manifest: Manifest) -> str:
        try:
            body = self.run.store.get(manifest.key)
        except ObjectNotFoundError:
            return manifest.url
        return "" if hashlib.sha256(body).hexdigest() == manifest.sha256 else manifest.url


def _plan_manifests(planned: Iterable[Replacement], listed: Iterable[list[ShardFile]]) -> list[ManifestPlan]:
    plans: dict[Stream | None, list[ManifestPlan]] = collections.defaultdict(list)
    for each, shards in zip(planned, listed, strict=True):
        replaces = tuple(
            Replaced(source.manifest.url, source.manifest.sha256, source.manifest.records)
            for source in each.sources
            if source.manifest is not None
        )
        if replaces:
            number = len(plans[each.stream])
            plans[each.stream].append(ManifestPlan(each.stream, "", 0, number, 0, tuple(shards), replaces=replaces))
    return [plan._replace(siblings=len(part)) for part in plans.values() for plan in part]


def _named(manifest: Manifest) -> tuple[str, str]:
    return manifest.url, manifest.sha256


def _url(shard: ShardFile) -> str:
    return shard.url


def _key(shard: ShardFile) -> str:
    return shard.key
