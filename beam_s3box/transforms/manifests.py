"""WriteManifests: when every shard of a firing is in the store, the lists that COPY loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box import metrics
from beam_s3box.manifests import Manifest, ManifestPlan, Manifests, plan_manifests, rewrite_manifest, write_manifest
from beam_s3box.shards import ShardFile
from beam_s3box.streams import Stream
from beam_s3box.transforms.carry import LeaveWindows, ReturnToWindows
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.runtime import BeamCounts, upload_threads
from beam_s3box.transforms.windows import Windows, last_moment

_KEYED = tuple[tuple[str, str], ShardFile]
_PLANNED = tuple[tuple[str, str, int], ManifestPlan]
_GROUPED = tuple[tuple[str, str, int], list[ManifestPlan]]
_CARRIED = tuple[tuple[str, str], tuple[bytes, ManifestPlan]]
_GLOBAL = GlobalWindow()
_WHOLE_RUN = ("", "")  # no stream has empty names


class WriteManifests(beam.PTransform):
    """Writes the manifests of each firing of each window, per stream or per run.

    *Guarantees*: the first GroupByKey holds a manifest back until every shard it lists is in the store; the second one
    makes a retry write the same list again. In bounded runs manifests are create-only. In unbounded ones the second
    keeps the firings of a stream in order and waits for no trigger; where a runner goes back to a checkpoint, what
    it had written of later firings is replaced or withdrawn.

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
        fix = _FixFirings(self._plan.windows) if self._plan.unbounded else beam.GroupByKey()
        fixed = planned | "FixPlans" >> fix
        write = beam.ParDo(_WriteManifest(self._plan, self._manifests.count)).with_output_types(Manifest)
        return fixed | "WriteManifest" >> write


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
    """Makes the plans of every firing stable, apart from those of all others, and keeps those of a stream in order."""

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self._windows = windows

    def expand(self, planned: beam.PCollection) -> beam.PCollection:
        """Return them as if grouped by name."""
        order = beam.ParDo(_InOrder(self._windows)).with_output_types(tuple[bytes, _GROUPED])
        return (
            planned
            | "LeaveWindows" >> LeaveWindows(self._windows)
            | "KeyByScope" >> beam.ParDo(_ByScope()).with_output_types(_CARRIED)
            | "GroupFirings" >> beam.GroupByKey()
            | "InOrder" >> order
            | "ReturnToWindows" >> ReturnToWindows(self._windows, planned.windowing, _GROUPED)
        )


class _ByScope(beam.DoFn):
    def process(
        self, element: tuple[bytes, tuple[tuple[str, str, int], ManifestPlan]]
    ) -> Iterator[tuple[tuple[str, str], tuple[bytes, ManifestPlan]]]:
        window, ((domain, namespace, _), plan) = element
        yield (domain, namespace), (window, plan)


class _InOrder(beam.DoFn):
    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def process(self, element: tuple[tuple[str, str], Iterable[tuple[bytes, ManifestPlan]]]) -> Iterator[WindowedValue]:
        names, carried = element
        for window, plan in sorted(carried, key=_place):
            # one name for all: what has the same name is written one behind the other
            value = window, ((*names, 0), [plan])
            yield WindowedValue(value, last_moment(self._windows.decode(window)), (_GLOBAL,))


def _place(carried: tuple[bytes, ManifestPlan]) -> tuple[str, int, int]:
    _, plan = carried
    return plan.window, plan.pane, plan.number


class _WriteManifest(beam.DoFn):
    """Writes manifests, several at a time, those of one name in order; a bundle ends when all of them are there."""

    def __init__(self, plan: WritePlan, count: int) -> None:
        self._plan = plan
        self._count = count

    def setup(self) -> None:
        self._claimed = False
        self._counts = BeamCounts()
        self._threads = upload_threads(self._plan.upload_concurrency)

    def start_bundle(self) -> None:
        self._named: dict[Any, list[tuple[ManifestPlan, Any]]] = {}

    def process(
        self, element: tuple[tuple[str, str, int], Iterable[ManifestPlan]], window: Any = beam.DoFn.WindowParam
    ) -> None:
        if not self._claimed:
            self._plan.claim.take(self._plan.store, may_replace=self._plan.unbounded)
            self._claimed = True
        name, plans = element
        self._named.setdefault(name, []).extend((plan, window) for plan in plans)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for future in [self._threads.submit(self._write_all, named) for named in self._named.values()]:
            for manifest, window in future.result():
                self._counts.count(metrics.MANIFESTS)
                self._counts.count(metrics.RECORDS_LISTED, manifest.records)
                yield WindowedValue(manifest, last_moment(window), (window,))

    def _write_all(self, named: list[tuple[ManifestPlan, Any]]) -> list[tuple[Manifest, Any]]:
        return [(self._write(plan), window) for plan, window in named]

    def _write(self, plan: ManifestPlan) -> Manifest:
        store, layout = self._plan.store, self._plan.layout
        if self._plan.unbounded:
            return rewrite_manifest(store, layout, plan, self._count)
        return write_manifest(store, layout, plan)
