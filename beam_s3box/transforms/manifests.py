"""WriteManifests: writes manifests when every shard of a firing is in the store, and commits the run."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.coders import StrUtf8Coder, TupleCoder, VarIntCoder
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box import metrics
from beam_s3box.engine.commit import announce, commit_of_manifest
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, ManifestPlan, Manifests, join_plans, plan_manifests, split_plan
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.shard_rows import rows_of
from beam_s3box.engine.signs_of_life import show_life
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile
from beam_s3box.system.outside import wall_seconds
from beam_s3box.transforms.finish import FinishRun
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import ReifyWindow, RestoreWindows
from beam_s3box.transforms.runtime import BeamCounts, upload_threads
from beam_s3box.transforms.windows import Windows, last_moment

Names: TypeAlias = tuple[str, str]
"""Domain and namespace; both empty for the whole run."""

_KEYED = tuple[Names, ShardFile]
_PLANNED = tuple[tuple[str, str, int], ManifestPlan]
_FIRING = tuple[Names, list[ManifestPlan]]
_WINDOWED = tuple[Names, tuple[bytes, list[ManifestPlan]]]
_GLOBAL = GlobalWindow()
_WHOLE_RUN = ("", "")  # no stream has empty names

_LINEAGE = ReadModifyWriteStateSpec("lineage", TupleCoder((VarIntCoder(), StrUtf8Coder(), StrUtf8Coder())))
_LINEAGE_STATE = beam.DoFn.StateParam(_LINEAGE)


class WriteManifests(beam.PTransform):
    """Writes the manifests of each firing of each window, per stream or per run.

    Takes the shards and, for bounded input, the run's InputTotals, as FinishRun does.

    *Guarantees*: the first GroupByKey holds a manifest back until every shard that it lists is in the store. Work that
    a runner repeats replaces and withdraws what it wrote before; outdated work replaces nothing. The manifests of a
    bounded run are emitted when the record of the run says that they count. Those of an unbounded run count as soon as
    they are written; the firings of a stream are numbered in state, so that a repeated firing has the key of the first
    one, whatever its window.

    *Windows*: each window has manifests of its own; a firing without shards has none.
    """

    def __init__(self, plan: WritePlan, manifests: Manifests) -> None:
        super().__init__()
        self._plan = plan
        self._manifests = manifests

    def expand(self, inputs: tuple[beam.PCollection, beam.PCollection]) -> beam.PCollection:
        """Return the manifests that count."""
        files, totals = inputs
        grouped = (
            files
            | "KeyByScope" >> beam.ParDo(_KeyByScope(self._manifests, self._plan)).with_output_types(_KEYED)
            | "GroupFiles" >> beam.GroupByKey()
        )
        if self._plan.unbounded:
            return self._write_firings(grouped, files.windowing)
        return (self._write_bounded(grouped), totals) | "FinishRun" >> FinishRun(self._plan, files.windowing)

    def _write_firings(self, grouped: beam.PCollection, windowing: Windowing) -> beam.PCollection:
        plan = self._plan
        plan_firing = beam.ParDo(_PlanFiring(self._manifests.count, plan.windows)).with_output_types(_FIRING)
        write = beam.ParDo(_WriteFirings(plan)).with_output_types(tuple[bytes, Manifest])
        return (
            grouped
            | "PlanFiring" >> plan_firing
            | "ReifyWindow" >> ReifyWindow(plan.windows)
            | "KeyFirings" >> beam.ParDo(_KeyFirings()).with_output_types(_WINDOWED)
            | "WriteFirings" >> write
            | "RestoreWindows" >> RestoreWindows(plan.windows, windowing, Manifest)
        )

    def _write_bounded(self, grouped: beam.PCollection) -> beam.PCollection:
        """Return the manifests and rows of the shards that they list; of two outputs, Spark would execute it twice."""
        plan = self._plan
        planner = _PlanManifests(self._manifests.count, plan.windows, keeps_together=plan.repeats_bundles)
        plan_them = beam.ParDo(planner).with_output_types(_PLANNED)
        write = beam.ParDo(_WriteManifest(plan)).with_output_types(Any)
        return grouped | "PlanManifests" >> plan_them | "FixPlans" >> beam.GroupByKey() | "WriteManifest" >> write


class _KeyByScope(beam.DoFn):
    """Keys shards by what their manifest lists; in a bounded run without URLs, a third of what is shuffled."""

    def __init__(self, manifests: Manifests, plan: WritePlan) -> None:
        self._manifests = manifests
        self._keeps_urls = plan.unbounded

    def process(self, file: ShardFile) -> Iterator[tuple[Names, ShardFile]]:
        file = ShardFile._make(file)  # a decoded row is an instance of another class
        if not self._keeps_urls:
            file = file._replace(url="")
        scope = self._manifests.scope(file)
        yield ((scope.domain, scope.namespace) if scope else _WHOLE_RUN), file


class _Plan(beam.DoFn):
    def __init__(self, count: int, windows: Windows) -> None:
        self._count = count
        self._windows = windows

    def _plans(self, names: Names, files: Iterable[Any], window: Any, pane: int) -> list[ManifestPlan]:
        stream = None if names == _WHOLE_RUN else Stream(*names)
        return plan_manifests(stream, self._windows.name(window), pane, map(ShardFile._make, files), self._count)


class _PlanManifests(_Plan):
    """Plans the manifests of a bounded run.

    Args:
      count: manifests of each stream or run.
      windows: of the write.
      keeps_together: whether all of a stream or run get one key.
    """

    def __init__(self, count: int, windows: Windows, *, keeps_together: bool) -> None:
        super().__init__(count, windows)
        self._keeps_together = keeps_together

    def process(
        self, element: tuple[Names, Iterable[ShardFile]], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[tuple[tuple[str, str, int], ManifestPlan]]:
        names, files = element
        for plan in self._plans(names, files, window, 0):
            # plans of two executions may list a shard twice, so that they are not combined if the engine may do so
            number = 0 if self._keeps_together else plan.number
            for piece in split_plan(plan):
                yield (*names, number), piece


class _PlanFiring(_Plan):
    def process(
        self,
        element: tuple[Names, Iterable[ShardFile]],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[tuple[Names, list[ManifestPlan]]]:
        names, files = element
        plans = self._plans(names, files, window, pane.index)
        if plans:  # runners also fire empty panes
            yield names, plans


class _KeyFirings(beam.DoFn):
    def process(
        self, element: tuple[bytes, tuple[Names, list[ManifestPlan]]]
    ) -> Iterator[tuple[Names, tuple[bytes, list[ManifestPlan]]]]:
        window, (names, plans) = element
        yield names, (window, plans)


class _WriteManifest(beam.DoFn):
    """Writes the manifests of a bounded run, several at a time; a bundle ends when all of them exist, or none."""

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        self._counts = BeamCounts()
        self._threads = upload_threads(self._plan.upload_concurrency)

    def start_bundle(self) -> None:
        self._publisher = Publisher.begin(self._plan.store, self._plan.claim)
        self._plans: list[tuple[ManifestPlan, Any]] = []

    def process(
        self, element: tuple[tuple[str, str, int], Iterable[ManifestPlan]], window: Any = beam.DoFn.WindowParam
    ) -> None:
        pieces: dict[int, list[ManifestPlan]] = {}
        for piece in map(ManifestPlan._make, element[1]):
            pieces.setdefault(piece.number, []).append(piece)
        self._plans += [(join_plans(pieces[number]), window) for number in sorted(pieces)]

    def finish_bundle(self) -> Iterator[Any]:
        manifests = self._write_all()
        for manifest, (_, window) in zip(manifests, self._plans, strict=True):
            _count(self._counts, manifest)
            yield WindowedValue(manifest, last_moment(window), (window,))
        listed = ((manifest, plan.files) for manifest, (plan, _) in zip(manifests, self._plans, strict=True))
        for rows in rows_of(listed, wall_seconds()):
            window = self._plans[0][1]  # any: they leave the windows at once
            yield WindowedValue(rows, last_moment(window), (window,))

    def _write_all(self) -> list[Manifest]:
        return self._publisher.write_all([plan for plan, _ in self._plans], self._threads)


class _WriteFirings(beam.DoFn):
    """Numbers the firings of each stream or run, and writes their manifests: streams in parallel, each in order."""

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def setup(self) -> None:
        self._counts = BeamCounts()
        self._threads = upload_threads(self._plan.upload_concurrency)

    def start_bundle(self) -> None:
        self._publisher = Publisher.begin(self._plan.store, self._plan.claim)
        self._firings: dict[Names, list[tuple[bytes, list[ManifestPlan], Lineage]]] = {}

    def process(
        self,
        element: tuple[Names, tuple[bytes, list[ManifestPlan]]],
        lineage: Any = _LINEAGE_STATE,
    ) -> None:
        names, (window, plans) = element
        before = Lineage(*(lineage.read() or ()))
        numbered = before.number(map(ManifestPlan._make, plans))
        lineage.write(tuple(before.after(self._publisher.key(numbered[0]), numbered[0])))
        self._firings.setdefault(names, []).append((window, numbered, before))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if not self._firings:
            return
        show_life(self._plan.store, self._plan.claim)
        saving = self._threads.submit(self._write_rows)
        writing = [self._threads.submit(self._write_all, firings) for firings in self._firings.values()]
        written = [pair for future in writing for pair in future.result()]
        saving.result()
        if self._plan.on_commit is not None:
            collections.deque(self._threads.map(self._announce, [manifest for _, manifest in written]), maxlen=0)
        self._measure_freshness()
        for window, manifest in written:
            _count(self._counts, manifest)
            last = last_moment(self._plan.windows.decode(window))
            yield WindowedValue((window, manifest), last, (_GLOBAL,))

    def _announce(self, manifest: Manifest) -> None:
        plan = self._plan
        announce(plan.on_commit, commit_of_manifest(plan.store, plan.layout.run_id, manifest))

    def _measure_freshness(self) -> None:
        now = wall_seconds()
        for plan in (plan for firings in self._firings.values() for _, numbered, _ in firings for plan in numbered):
            for file in plan.files:
                if file.arrived:
                    self._counts.measure(metrics.FRESHNESS_MILLISECONDS, max(0, round((now - file.arrived) * 1000)))

    def _write_rows(self) -> None:
        """Write the rows of all manifests of this bundle; those of one that is not written then do not count."""
        plans = [plan for firings in self._firings.values() for _, numbered, _ in firings for plan in numbered]
        self._publisher.write_rows(plans, wall_seconds())

    def _write_all(self, firings: list[tuple[bytes, list[ManifestPlan], Lineage]]) -> list[tuple[bytes, Manifest]]:
        return [
            (window, manifest)
            for window, plans, before in firings
            for manifest in self._publisher.write_firing(plans, before)
        ]


def _count(counts: BeamCounts, manifest: Manifest) -> None:
    counts.count(metrics.MANIFESTS)
    counts.count(metrics.RECORDS_LISTED, manifest.records)
