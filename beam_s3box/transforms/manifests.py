"""WriteManifests: when every shard of a firing is in the store, the lists that COPY loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from beam_s3box import metrics
from beam_s3box.manifests import Manifest, ManifestPlan, Manifests, plan_manifests, write_manifest
from beam_s3box.shards import ShardFile
from beam_s3box.streams import Stream
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, window_name

_KEYED = tuple[tuple[str, str], ShardFile]
_WHOLE_RUN = ("", "")  # no stream has empty names


class WriteManifests(beam.PTransform):
    """Writes the manifests of each window, per stream or per run, create-only.

    *Guarantees*: the GroupByKey holds a manifest back until every shard it lists is in the store; the Reshuffle behind
    it makes a retry write the same list again.

    *Windows*: manifests of their own for each window; a window without shards has none.
    """

    def __init__(self, plan: WritePlan, manifests: Manifests) -> None:
        super().__init__()
        self._plan = plan
        self._manifests = manifests

    def expand(self, files: beam.PCollection) -> beam.PCollection:
        """Return the manifests written."""
        return (
            files
            | "KeyByScope" >> beam.ParDo(_KeyByScope(self._manifests)).with_output_types(_KEYED)
            | "GroupFiles" >> beam.GroupByKey()
            | "PlanManifests" >> beam.ParDo(_PlanManifests(self._manifests.count)).with_output_types(ManifestPlan)
            | "FixPlans" >> beam.Reshuffle()
            | "WriteManifest" >> beam.ParDo(_WriteManifest(self._plan)).with_output_types(Manifest)
        )


class _KeyByScope(beam.DoFn):
    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests

    def process(self, file: ShardFile) -> Iterator[tuple[tuple[str, str], ShardFile]]:
        file = ShardFile._make(file)  # a worker that has just decoded it holds a row of another class
        scope = self._manifests.scope(file)
        yield ((scope.domain, scope.namespace) if scope else _WHOLE_RUN), file


class _PlanManifests(beam.DoFn):
    def __init__(self, count: int) -> None:
        self._count = count

    def process(
        self,
        element: tuple[tuple[str, str], Iterable[ShardFile]],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[ManifestPlan]:
        names, files = element
        stream = None if names == _WHOLE_RUN else Stream(*names)
        shards = map(ShardFile._make, files)
        yield from plan_manifests(stream, window_name(window), pane.index, shards, self._count)


class _WriteManifest(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        self._claimed = False
        self._counts = BeamCounts()

    def process(self, plan: ManifestPlan) -> Iterator[Manifest]:
        if not self._claimed:
            self._plan.claim.take(self._plan.store)
            self._claimed = True
        manifest = write_manifest(self._plan.store, self._plan.layout, plan)
        self._counts.count(metrics.MANIFESTS)
        self._counts.count(metrics.RECORDS_LISTED, manifest.records)
        yield manifest
