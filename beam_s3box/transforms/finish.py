"""FinishRun: commits a bounded run when everything that it lists is in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import AsIter
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import Manifest
from beam_s3box.shards.model import NOTHING, ShardFile, Size
from beam_s3box.transforms.input_totals import check_dead_letters
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import NoteWindow, RestoreWindows
from beam_s3box.transforms.runtime import claim_once
from beam_s3box.transforms.windows import last_moment

_WindowedManifest: TypeAlias = tuple[bytes, Manifest]
_SEED: _WindowedManifest = (b"", Manifest(None, None, "", 0, "", "", 0, 0, 0, 0))
"""An element for runs without manifests, so that these are finished, too."""

_ROWS = tuple[str, tuple[bytes, Manifest]]
_TOTALS = tuple[str, tuple[int, int, int, int]]
_ALL = ""
_GLOBAL = GlobalWindow()


class FinishRun(beam.PTransform):
    """Writes the record of a bounded run when all of its manifests exist, and then emits the manifests.

    Takes the manifests and the run's InputTotals, as SumInput returns them.

    *Guarantees*: the record lists each manifest that is emitted, with its digest. A run with too many dead letters
    fails before that.

    *Windows*: the manifests'.
    """

    def __init__(self, plan: WritePlan, windowing: Windowing) -> None:
        super().__init__()
        self._plan = plan
        self._windowing = windowing

    def expand(self, inputs: tuple[beam.PCollection, beam.PCollection]) -> beam.PCollection:
        """Return the manifests, in their windows."""
        manifests, totals = inputs
        windows = self._plan.windows
        windowed = (
            manifests
            | "NoteWindow" >> beam.ParDo(NoteWindow(windows)).with_output_types(tuple[bytes, Manifest])
            | "WindowGlobally" >> beam.WindowInto(GlobalWindows())
        )
        seed = manifests.pipeline | "Seed" >> beam.Create([_SEED]).with_output_types(tuple[bytes, Manifest])
        finish = beam.ParDo(_FinishWithManifests(self._plan), AsIter(totals))
        return (
            (windowed, seed)
            | "AllManifests" >> beam.Flatten()
            | "KeyAll" >> beam.ParDo(_KeyAll()).with_output_types(_ROWS)
            | "Gather" >> beam.GroupByKey()
            | "Finish" >> finish.with_output_types(tuple[bytes, Manifest])
            | "RestoreWindows" >> RestoreWindows(windows, self._windowing, Manifest)
        )


class FinishRunOfShards(beam.PTransform):
    """Writes the record of a bounded run without manifests when all of its shards exist.

    Takes the shards and the run's InputTotals, as FinishRun does.
    """

    def __init__(self, plan: WritePlan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, inputs: tuple[beam.PCollection, beam.PCollection]) -> beam.PCollection:
        """Return no manifests."""
        files, totals = inputs
        sizes = (
            files
            | "WindowGlobally" >> beam.WindowInto(GlobalWindows())
            | "TallyShards" >> beam.ParDo(_TallyShard()).with_output_types(_TOTALS)
        )
        seed = files.pipeline | "Seed" >> beam.Create([(_ALL, (0, 0, 0, 0))]).with_output_types(_TOTALS)
        return (
            (sizes, seed)
            | "AllSizes" >> beam.Flatten()
            | "Sum" >> beam.CombinePerKey(_sum_totals)
            | "Finish" >> beam.ParDo(_FinishWithTotals(self._plan), AsIter(totals)).with_output_types(Manifest)
        )


class _KeyAll(beam.DoFn):
    def process(self, row: _WindowedManifest) -> Iterator[tuple[str, _WindowedManifest]]:
        yield _ALL, row


class _FinishWithManifests(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def process(
        self, element: tuple[str, Iterable[_WindowedManifest]], totals: Iterable[tuple[str, InputTotals]]
    ) -> Iterator[WindowedValue]:
        check_dead_letters(self._plan, totals)
        # by key: a runner with at-least-once delivery may deliver a row twice
        rows = {manifest.key: (window, manifest) for window, manifest in map(_restored, element[1]) if manifest.key}
        manifests = [manifest for _, manifest in rows.values()]
        size = NOTHING
        for manifest in manifests:
            size = size.plus(Size(manifest.object_bytes, manifest.raw_bytes, manifest.records))
        claim_once(self._plan.store, self._plan.claim)  # for a run without any record
        self._plan.claim.finish(self._plan.store, manifests, size, sum(manifest.shards for manifest in manifests))
        for window, manifest in rows.values():
            last = last_moment(self._plan.windows.decode(window))
            yield WindowedValue((window, manifest), last, (_GLOBAL,))


class _TallyShard(beam.DoFn):
    def process(self, file: ShardFile) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
        file = ShardFile._make(file)
        yield _ALL, (file.object_bytes, file.raw_bytes, file.records, 1)


class _FinishWithTotals(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def process(
        self, element: tuple[str, tuple[int, int, int, int]], totals: Iterable[tuple[str, InputTotals]]
    ) -> None:
        check_dead_letters(self._plan, totals)
        *size, shards = element[1]
        claim_once(self._plan.store, self._plan.claim)
        self._plan.claim.finish(self._plan.store, [], Size(*size), shards)


def _restored(row: Any) -> _WindowedManifest:
    window, manifest = row
    return window, Manifest._make(manifest)


def _sum_totals(totals: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*totals, strict=True))) or (0, 0, 0, 0)
