"""WriteManifests: when every shard of a firing is in the store, the lists that COPY loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any

import apache_beam as beam
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box import metrics
from beam_s3box.manifests import Manifest, ManifestPlan, Manifests, plan_manifests, write_manifest
from beam_s3box.shards import ShardFile
from beam_s3box.streams import Stream
from beam_s3box.transforms.carry import LeaveWindows, ReturnToWindows
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, upload_threads
from beam_s3box.transforms.windows import Windows

_KEYED = tuple[tuple[str, str], ShardFile]
_PLANNED = tuple[tuple[str, str, int], ManifestPlan]
_GROUPED = tuple[tuple[str, str, int], list[ManifestPlan]]
_WHOLE_RUN = ("", "")  # no stream has empty names


class WriteManifests(beam.PTransform):
    """Writes the manifests of each firing of each window, per stream or per run.

    *Guarantees*: the first GroupByKey holds a manifest back until every shard it lists is in the store; the second
    grouping makes a retry write the same list again. In bounded runs manifests are create-only. In unbounded ones the
    second grouping is a Reshuffle, which waits for no trigger, and where a runner goes back to a checkpoint, the
    manifest of the same firing is replaced.

    *Windows*: manifests of their own for each; a firing without shards has none.
    """

    def __init__(self, plan: WritePlan, manifests: Manifests) -> None:
        super().__init__()
        self._plan = plan
        self._manifests = manifests

    def expand(self, files: beam.PCollection) -> beam.PCollection:
        """Return the manifests written."""
        plan_them = beam.ParDo(_PlanManifests(self._manifests.count, self._plan.windows))
        planned = (
            files
            | "KeyByScope" >> beam.ParDo(_KeyByScope(self._manifests)).with_output_types(_KEYED)
            | "GroupFiles" >> beam.GroupByKey()
            | "PlanManifests" >> plan_them.with_output_types(_PLANNED)
        )
        fix = _FixFirings(self._plan.windows) if self._plan.replace_manifests else beam.GroupByKey()
        fixed = planned | "FixPlans" >> fix
        return fixed | "WriteManifest" >> beam.ParDo(_WriteManifest(self._plan)).with_output_types(Manifest)


class _KeyByScope(beam.DoFn):
    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests

    def process(self, file: ShardFile) -> Iterator[tuple[tuple[str, str], ShardFile]]:
        file = ShardFile._make(file)  # a worker that has just decoded it holds a row of another class
        scope = self._manifests.scope(file)
        yield ((scope.domain, scope.namespace) if scope else _WHOLE_RUN), file


class _PlanManifests(beam.DoFn):
    def __init__(self, count: int, windows: Windows) -> None:
        self._count = count
        self._windows = windows

    def process(
        self,
        element: tuple[tuple[str, str], Iterable[ShardFile]],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[tuple[tuple[str, str, int], ManifestPlan]]:
        names, files = element
        stream = None if names == _WHOLE_RUN else Stream(*names)
        shards = map(ShardFile._make, files)
        for plan in plan_manifests(stream, self._windows.name(window), pane.index, shards, self._count):
            yield (*names, plan.number), plan


class _FixFirings(beam.PTransform):
    """Makes the plans of every firing stable, apart from those of all others."""

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self._windows = windows

    def expand(self, planned: beam.PCollection) -> beam.PCollection:
        """Return them as if grouped by name."""
        return (
            planned
            | "LeaveWindows" >> LeaveWindows(self._windows)
            | "Reshuffle" >> beam.Reshuffle()
            | "ReturnToWindows" >> ReturnToWindows(self._windows, planned.windowing, _PLANNED)
            | "Alone" >> beam.ParDo(_Alone()).with_output_types(_GROUPED)
        )


class _Alone(beam.DoFn):
    def process(
        self, element: tuple[tuple[str, str, int], ManifestPlan]
    ) -> Iterator[tuple[tuple[str, str, int], list[ManifestPlan]]]:
        name, plan = element
        yield name, [plan]


class _WriteManifest(beam.DoFn):
    """Writes manifests, several at a time; a bundle ends when all of its manifests are there."""

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        self._claimed = False
        self._counts = BeamCounts()
        self._threads = upload_threads(self._plan.upload_concurrency)

    def start_bundle(self) -> None:
        self._writing: list[tuple[Future[Manifest], Any]] = []

    def process(
        self, element: tuple[tuple[str, str, int], Iterable[ManifestPlan]], window: Any = beam.DoFn.WindowParam
    ) -> None:
        replace = self._plan.replace_manifests
        if not self._claimed:
            self._plan.claim.take(self._plan.store, may_replace=replace)
            self._claimed = True
        for plan in element[1]:
            future = self._threads.submit(write_manifest, self._plan.store, self._plan.layout, plan, replace=replace)
            self._writing.append((future, window))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for future, window in self._writing:
            manifest = future.result()
            self._counts.count(metrics.MANIFESTS)
            self._counts.count(metrics.RECORDS_LISTED, manifest.records)
            yield WindowedValue(manifest, window.max_timestamp(), (window,))
