"""FinishRun: commits a bounded run when everything that it lists is in the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.engine.commit import announce, commit_of_run
from beam_s3box.engine.input_totals import InputTotals, sum_totals
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.shard_lists import ROWS_IN_SEGMENT
from beam_s3box.engine.shard_rows import ShardListWriter, ShardRows, rows_of
from beam_s3box.errors import DeadLettersError, IncompleteRunError, RunExistsError, S3BoxError
from beam_s3box.shards.model import NOTHING, ShardFile, Size
from beam_s3box.sizes import counted_text
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import NoteWindow, RestoreWindows
from beam_s3box.transforms.runtime import claim_once, note_finished
from beam_s3box.transforms.windows import last_moment

_Row: TypeAlias = tuple[bytes, Manifest, InputTotals | ShardRows | None]
_NO_MANIFEST = Manifest(None, None, "", 0, "", "", 0, 0, 0, 0)
_SEED: _Row = (b"", _NO_MANIFEST, None)
"""An element for runs without manifests, so that these are finished, too."""

_ROWS = tuple[str, tuple[bytes, Manifest, Any]]
"""Manifests, rows of shards and totals in one shuffle: a step that waits for a side input fails each checkpoint of
Flink."""

_ALL = ""
_GLOBAL = GlobalWindow()


class FinishRun(beam.PTransform):
    """Writes the record of a bounded run when all of its manifests exist, and then emits the manifests.

    Takes the manifests with ShardRows of the shards that they list, and the run's InputTotals, as SumInput returns
    them.

    *Guarantees*: the record lists each manifest that is emitted, with its digest, and where each of its shards is
    listed with its own. A run with too many dead letters fails before that, and so does one whose shards have more or
    fewer records than it accepted.

    *Windows*: the manifests'.
    """

    def __init__(self, plan: WritePlan, windowing: Windowing) -> None:
        super().__init__()
        self._plan = plan
        self._windowing = windowing

    def expand(self, inputs: tuple[beam.PCollection, beam.PCollection]) -> beam.PCollection:
        """Return the manifests, in their windows."""
        written, totals = inputs
        windows = self._plan.windows
        rows = (
            written
            | "NoteWindow" >> beam.ParDo(NoteWindow(windows)).with_output_types(tuple[bytes, Any])
            | "WindowGlobally" >> beam.WindowInto(GlobalWindows())
            | "KeyRows" >> beam.ParDo(_KeyRow()).with_output_types(_ROWS)
        )
        return (
            _gathered(rows, totals)
            | "Finish" >> beam.ParDo(_Finish(self._plan)).with_output_types(tuple[bytes, Manifest])
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
        shards = (
            files
            | "WindowGlobally" >> beam.WindowInto(GlobalWindows())
            | "RowsOfShards" >> beam.ParDo(_RowsOfShards()).with_output_types(_ROWS)
        )
        done = _gathered(shards, totals) | "Finish" >> beam.ParDo(_Finish(self._plan))
        return done | "NoManifests" >> beam.ParDo(Drop()).with_output_types(Manifest)


def _gathered(rows: beam.PCollection, totals: beam.PCollection) -> beam.PCollection:
    """Return all rows of the run in one group."""
    counted = totals | "KeyTotals" >> beam.ParDo(_KeyTotals()).with_output_types(_ROWS)
    seed = totals.pipeline | "Seed" >> beam.Create([(_ALL, _SEED)]).with_output_types(_ROWS)
    return (rows, counted, seed) | "AllRows" >> beam.Flatten() | "Gather" >> beam.GroupByKey()


class _KeyRow(beam.DoFn):
    def process(self, element: tuple[bytes, Manifest | ShardRows]) -> Iterator[tuple[str, _Row]]:
        window, written = element
        yield _ALL, ((window, written, None) if isinstance(written, Manifest) else (b"", _NO_MANIFEST, written))


class _KeyTotals(beam.DoFn):
    def process(self, element: tuple[str, InputTotals]) -> Iterator[tuple[str, _Row]]:
        yield _ALL, (b"", _NO_MANIFEST, element[1])


class _RowsOfShards(beam.DoFn):
    """Compresses the rows of a bundle's shards."""

    def start_bundle(self) -> None:
        self._files: list[ShardFile] = []

    def process(self, file: ShardFile) -> Iterator[tuple[str, _Row]]:
        self._files.append(ShardFile._make(file))
        if len(self._files) == ROWS_IN_SEGMENT:
            yield from self._take()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for row in self._take():
            yield WindowedValue(row, _GLOBAL.max_timestamp(), (_GLOBAL,))

    def _take(self) -> Iterator[tuple[str, _Row]]:
        files, self._files = self._files, []
        for rows in rows_of([(None, files)], 0):
            yield _ALL, (b"", _NO_MANIFEST, rows)


class _Finish(beam.DoFn):
    """Writes the lists while it reads the rows, so that it holds manifests and no shards; then the record."""

    def __init__(self, plan: WritePlan) -> None:
        self._plan = plan

    def process(self, element: tuple[str, Iterable[_Row]]) -> Iterator[WindowedValue]:
        plan = self._plan
        writer = ShardListWriter(plan.store, plan.layout)
        # by key: a runner with at-least-once delivery may deliver a row twice
        found: dict[str, tuple[bytes, Manifest]] = {}
        totals: list[InputTotals] = []
        for window, row, value in element[1]:
            manifest = Manifest._make(row)
            if manifest.key:
                found[manifest.key] = (window, manifest)
            elif isinstance(value, ShardRows):
                writer.add(value)
            elif value is not None:
                totals.append(value)
        self._finish(writer, [manifest for _, manifest in found.values()], sum_totals(totals))
        for window, manifest in found.values():
            last = last_moment(plan.windows.decode(window))
            yield WindowedValue((window, manifest), last, (_GLOBAL,))

    def _finish(self, writer: ShardListWriter, manifests: list[Manifest], totals: InputTotals) -> None:
        plan = self._plan
        size, shards = writer.size() if plan.manifests is None else _size_of(manifests)
        try:
            plan.dead_letter_limit.check(totals, plan.dead_letters_url)
            _check_complete(plan.layout.run_id, totals.accepted, size.records)
        except (DeadLettersError, IncompleteRunError) as exc:
            self._fail(exc)
            raise
        claim_once(plan.store, plan.claim)  # for a run without any record
        plan.claim.finish(plan.store, manifests, size, shards, writer.finish(totals))
        # of none, a step may be set up afterwards
        if totals.records:
            note_finished(plan.store, plan.claim)
        announce(plan.on_commit, commit_of_run(plan.store, plan.layout, manifests, size, shards, totals.rejected))

    def _fail(self, error: S3BoxError) -> None:
        """Record that the run failed: in a pipeline of others nobody else does."""
        plan = self._plan
        # a runner does this again, and the reason stays the same: the run is marked by then, and nobody's to claim
        with contextlib.suppress(RunExistsError):
            claim_once(plan.store, plan.claim)  # for a run without any record
        plan.claim.fail_by(plan.store, error)


class Drop(beam.DoFn):
    """Emits nothing, as the manifests of a write that has none."""

    def process(self, element: Any) -> None:
        """Emit nothing."""


def _check_complete(run_id: str, accepted: int, listed: int) -> None:
    """Hold the shards against what came in: an engine may combine two executions of a step that it did again."""
    if listed != accepted:
        raise IncompleteRunError(
            f"run {run_id} accepted {counted_text(accepted, 'record')}, and its shards have {listed:,}: the engine "
            "combined outputs of different executions of a step, as after the loss of a worker. Nothing of the run "
            "counts; launch the job again, under the same run_id if it had one"
        )


def _size_of(manifests: list[Manifest]) -> tuple[Size, int]:
    size, shards = NOTHING, 0
    for manifest in manifests:
        size = size.plus(Size(manifest.object_bytes, manifest.raw_bytes, manifest.records))
        shards += manifest.shards
    return size, shards
