"""FinishRun: commits a bounded run when everything that it lists is in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.engine.input_totals import InputTotals, sum_totals
from beam_s3box.engine.manifests import Manifest
from beam_s3box.shards.model import NOTHING, ShardFile, Size
from beam_s3box.transforms.input_totals import check_dead_letters
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import NoteWindow, RestoreWindows
from beam_s3box.transforms.runtime import claim_once
from beam_s3box.transforms.windows import last_moment

_WindowedManifest: TypeAlias = tuple[bytes, Manifest]
_Row: TypeAlias = tuple[bytes, Manifest, InputTotals | None]
_NO_MANIFEST = Manifest(None, None, "", 0, "", "", 0, 0, 0, 0)
_SEED: _Row = (b"", _NO_MANIFEST, None)
"""An element for runs without manifests, so that these are finished, too."""

_ROWS = tuple[str, tuple[bytes, Manifest, Any]]
"""Manifests and totals in one shuffle: a step that waits for a side input fails each checkpoint of Flink."""

_SIZES = tuple[str, tuple[int, int, int, int, Any]]
_Sizes: TypeAlias = tuple[int, int, int, int, InputTotals | None]
_NO_SIZE = (0, 0, 0, 0)

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
        listed = windowed | "KeyManifests" >> beam.ParDo(_KeyManifest()).with_output_types(_ROWS)
        counted = totals | "KeyTotals" >> beam.ParDo(_KeyTotals()).with_output_types(_ROWS)
        seed = manifests.pipeline | "Seed" >> beam.Create([(_ALL, _SEED)]).with_output_types(_ROWS)
        finish = beam.ParDo(_FinishWithManifests(self._plan))
        return (
            (listed, counted, seed)
            | "AllRows" >> beam.Flatten()
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
            | "TallyShards" >> beam.ParDo(_TallyShard()).with_output_types(_SIZES)
        )
        counted = totals | "TallyInput" >> beam.ParDo(_TallyInput()).with_output_types(_SIZES)
        seed = files.pipeline | "Seed" >> beam.Create([(_ALL, (*_NO_SIZE, None))]).with_output_types(_SIZES)
        return (
            (sizes, counted, seed)
            | "AllSizes" >> beam.Flatten()
            | "Sum" >> beam.CombinePerKey(_sum_sizes).with_output_types(_SIZES)
            | "Finish" >> beam.ParDo(_FinishWithSizes(self._plan)).with_output_types(Manifest)
        )


class _KeyManifest(beam.DoFn):
    def process(self, row: _WindowedManifest) -> Iterator[tuple[str, _Row]]:
        yield _ALL, (*row, None)


class _KeyTotals(beam.DoFn):
    def process(self, element: tuple[str, InputTotals]) -> Iterator[tuple[str, _Row]]:
        yield _ALL, (b"", _NO_MANIFEST, element[1])


class _FinishWithManifests(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def process(self, element: tuple[str, Iterable[_Row]]) -> Iterator[WindowedValue]:
        found = list(element[1])
        check_dead_letters(self._plan, (totals for *_, totals in found if totals is not None))
        # by key: a runner with at-least-once delivery may deliver a row twice
        rows = {manifest.key: (window, manifest) for window, manifest in map(_restored, found) if manifest.key}
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
    def process(self, file: ShardFile) -> Iterator[tuple[str, _Sizes]]:
        file = ShardFile._make(file)
        yield _ALL, (file.object_bytes, file.raw_bytes, file.records, 1, None)


class _TallyInput(beam.DoFn):
    def process(self, element: tuple[str, InputTotals]) -> Iterator[tuple[str, _Sizes]]:
        yield _ALL, (*_NO_SIZE, element[1])


class _FinishWithSizes(beam.DoFn):
    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def process(self, element: tuple[str, _Sizes]) -> None:
        object_bytes, raw_bytes, records, shards, totals = element[1]
        check_dead_letters(self._plan, [] if totals is None else [totals])
        claim_once(self._plan.store, self._plan.claim)
        self._plan.claim.finish(self._plan.store, [], Size(object_bytes, raw_bytes, records), shards)


def _restored(row: Any) -> _WindowedManifest:
    window, manifest, _ = row
    return window, Manifest._make(manifest)


def _sum_sizes(rows: Iterable[_Sizes]) -> tuple[Any, ...]:
    found = list(rows)
    totals = [row[-1] for row in found if row[-1] is not None]
    numbers = map(sum, zip(*(row[:-1] for row in found), strict=True)) if found else _NO_SIZE
    return (*numbers, sum_totals(totals) if totals else None)
