"""WriteToS3Box: from any PCollection to gzip JSON shards in an object store, and the manifests that COPY takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, S3Options
from apache_beam.pvalue import PCollection
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.transforms.window import GlobalWindows, WindowFn
from apache_beam.typehints import List as BeamList

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.dead_letter_limit import DeadLetterLimit
from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.manifests import Manifest, Manifests
from beam_s3box.engine.shard_builder import DEFAULT_MIN_FILL
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import AVRO, Format, format_named, resolved_for
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.long_values import LongValues
from beam_s3box.records.routing import StreamFunction, StreamSelector
from beam_s3box.shards.keys import DEFAULT_DATA_KEY, Layout
from beam_s3box.shards.lanes import check_lanes
from beam_s3box.shards.limits import Limits, StreamLimits, limits_by_stream
from beam_s3box.shards.model import SealedShard, ShardFile
from beam_s3box.shards.runs import check_run_id, new_run_id, new_token
from beam_s3box.stores import Store, open_store
from beam_s3box.stores.s3_settings import S3Settings
from beam_s3box.transforms.arguments import (
    OnBadRecord,
    Packing,
    Rests,
    check_only_write,
    checked_concurrency,
    checked_packing,
    checked_rests,
    fails_on_bad_record,
    manifests_for,
    named_by,
)
from beam_s3box.transforms.avro_schema import avro_schema_of_elements
from beam_s3box.transforms.dead_letters import WriteDeadLetters
from beam_s3box.transforms.encode import DEAD_LETTERS, INPUT_TOTALS, SHARDS, EncodeSegments, EncodeWindowedSegments
from beam_s3box.transforms.engines import configure_or_reject
from beam_s3box.transforms.finish import FinishRunOfShards
from beam_s3box.transforms.input_totals import BY_FILE, SumInput
from beam_s3box.transforms.manifests import WriteManifests
from beam_s3box.transforms.pack import PackShards
from beam_s3box.transforms.pack_by_state import PackByState
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import FireOnce, ReturnToWindows
from beam_s3box.transforms.s3_options import credentials_of, settings_with_options
from beam_s3box.transforms.upload import UploadKeyedShards, UploadShards
from beam_s3box.transforms.windowing import WindowingChoice, window_into
from beam_s3box.transforms.windows import Windows

_ATTEMPT_CHARACTERS = 32
_REST = tuple[tuple[str, str, int], tuple[bytes, int, int, int]]
_SEAL_WHOLE_ONLY = 2.0
"""No rest is so full: what state collects, others may still fill."""


class WriteToS3BoxResult(NamedTuple):
    """What a write gives back.

    Beam's `|` returns Any. Type checkers know the types below when the variable is annotated:
    `result: WriteToS3BoxResult = records | WriteToS3Box(...)`.

    Attributes:
      shards: one ShardFile for each object, in its window.
      manifests: one Manifest for each manifest; empty without manifests.
      dead_letters: one DeadLetter for each record that could not be packed.
      input_totals: `("", InputTotals)`, how many records came in and why which are dead letters: one for the run, or
        with unbounded input `(file, InputTotals)`, one for each bundle and file.
    """

    shards: PCollection[ShardFile]
    manifests: PCollection[Manifest]
    dead_letters: PCollection[DeadLetter]
    input_totals: PCollection[tuple[str, InputTotals]]


class WriteToS3Box(beam.PTransform):
    """Writes records, grouped by stream, as gzip JSON shards, and the manifests that list them.

    Takes dicts, JSON text (`str` or `bytes`), Beam rows, NamedTuples, dataclasses, or any of these keyed as
    `((domain, namespace), record)`.

    *Guarantees*: a pipeline that ends well has every accepted record in exactly one listed shard, and every other one
    in `dead_letters`. A failure leaves at worst unlisted shards, never a manifest that lists a shard which is missing,
    partial or doubled. An upload that fails after its retries fails the pipeline. With unbounded input no record waits
    longer than its stream's `seconds`, nor past the end of its window; a manifest that a runner writes again after it
    went back to a checkpoint replaces the one of the same name.

    *Windows*: a shard never spans two windows, and each window has manifests of its own: one for every firing that has
    shards, named by the number of the pane. Records later than the allowed lateness are in shards that the runner lets
    no manifest list; `shards` has them. Merging windows (sessions) are refused. Unbounded input needs windows, or
    `triggering_frequency`.

    *Example*:

        result = records | WriteToS3Box(
            "s3://bucket/flights",
            domain_field="carrier",
            namespace_field="origin",
            limits=StreamLimits(max_object_bytes=64 * MiB),
        )

    Args:
      destination: `s3://bucket/prefix`, `file:///path`, a local path, `memory://name`, or a Store.
      domain, namespace: constants that name the stream.
      domain_field, namespace_field: top-level fields whose text or number names the stream.
      stream: a function from the record, as a mapping, to (domain, namespace).
      limits: of a shard: a StreamLimits, a mapping from patterns such as `"web/*"`, or a function of the stream.
        Default: objects of 64 MiB.
      format: `"json-lines"`, `"json-array"`, `"avro"` (its schema is that of the elements' type), or a Format such as
        AvroFormat(schema). A record that does not fit is a dead letter. With manifests, logical types are written as
        text, because COPY knows none; without, they are kept.
      manifests: Manifests, or None for none; `"auto"`: one per stream if COPY can load the format.
      run_id: names the run in every key, and no other write of the pipeline; default: a new one that sorts by time,
        made here, and again each time that the same object is applied once more.
      on_bad_record: `"dead_letter"`, or `"fail"` to fail the pipeline with the reason.
      max_dead_letters: a number of records, or a share of them as `"5%"`: the run fails if more are dead letters, 0 on
        the first, `"100%"` never. Default: it fails if all are, or all of one file that the jobs read. Of unbounded
        input nobody knows the share, and a number is held against each bundle.
      max_record_bytes: bytes of one record, `|` counted twice; default: 4,000,000 with manifests, else no limit.
      long_values: with manifests, what happens to a text of more than 65,535 bytes, which Redshift can't store:
        `"reject"`: its record is a dead letter; `"truncate"`: it is cut at the end of a character; `"keep"`.
      s3: settings of S3 beyond Beam's `--s3_*` options, which give endpoint, region and keys.
      rests: what a bundle does with less than half of a shard: `"pack"` sends it on, to be packed with the rests of
        other bundles; `"seal"` makes it a shard at once, which is right where one bundle holds all input, and keeps
        memory bounded there; `"auto"`: `"seal"` on FnApiRunner with one worker, which makes one bundle of all input.
      windowing: a window function, or a WindowInto with a trigger of its own; default: the input's windows.
      allowed_lateness: seconds after a window's end for which late records get manifests of their own, as they come.
      triggering_frequency: whole seconds between manifests of a window that has not ended; default: none before its
        end. The lateness is then at least a minute more than this.
      lanes: keys that the records of one stream are spread over, by their content, where one worker can't pack them.
      packing: `"group"`: the rests of all bundles are grouped, then cut; `"stateful"`: they are collected by state and
        timers, which carry the time limit; `"auto"`: the first for bounded input, the second for unbounded.
      upload_concurrency: uploads at a time in each worker process.
      key_template: of a shard's key below the destination.
      clock: seconds since the epoch, as the runner's timers of real time count them.

    Raises:
      ConfigurationError: an argument that can't work; names parameter, value, rule and way out.
    """

    def __init__(
        self,
        destination: str | os.PathLike[str] | Store,
        *,
        domain: str | None = None,
        namespace: str | None = None,
        domain_field: str | None = None,
        namespace_field: str | None = None,
        stream: StreamFunction | None = None,
        limits: Limits | None = None,
        format: str | Format = "json-lines",
        manifests: Manifests | Literal["auto"] | None = "auto",
        run_id: str | None = None,
        on_bad_record: OnBadRecord = "dead_letter",
        max_dead_letters: int | str | None = None,
        max_record_bytes: int | None = None,
        long_values: LongValues = "reject",
        s3: S3Settings | None = None,
        rests: Rests = "auto",
        windowing: beam.WindowInto | WindowFn | None = None,
        allowed_lateness: float | None = None,
        triggering_frequency: int | None = None,
        lanes: int = 1,
        packing: Packing = "auto",
        upload_concurrency: int = 8,
        key_template: str = DEFAULT_DATA_KEY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._destination = destination
        self._naming = StreamSelector(domain, namespace, domain_field, namespace_field, stream)
        self._limits = limits if limits is not None else StreamLimits()
        self._limits_of = limits_by_stream(self._limits)
        given = format_named(format, finds_schema=True)
        self._manifests = manifests_for(given, manifests)
        self._finds_schema = format == AVRO
        self._format = resolved_for(given, copy=self._manifests is not None)
        self._rules = record_rules(
            for_redshift=self._manifests is not None, max_record_bytes=max_record_bytes, long_values=long_values
        )
        self._given_run_id = run_id
        self._is_applied = False
        self.run_id = check_run_id(run_id) if run_id is not None else new_run_id()
        self._fail_on_bad_record = fails_on_bad_record(on_bad_record)
        self.dead_letter_limit = DeadLetterLimit.of(max_dead_letters)
        self._s3 = s3
        self._rests = checked_rests(rests)
        self._windowing = WindowingChoice(windowing, allowed_lateness, triggering_frequency)
        self._lanes = check_lanes(lanes)
        self._packing = checked_packing(packing)
        self._clock = clock
        self._upload_concurrency = checked_concurrency(upload_concurrency)
        self._key_template = key_template
        Layout(self.run_id, data_key=key_template)
        open_store(destination, s3)

    @property
    def max_record_bytes(self) -> int | None:
        """Bytes of the largest record, `|` counted twice; None for no limit."""
        return self._rules.max_bytes

    def expand(self, records: beam.PCollection[Any]) -> WriteToS3BoxResult:
        """Return the shards, manifests and dead letters of the records."""
        is_stateful = self._is_stateful(records)
        configure_or_reject(records, stateful=is_stateful)
        format = self._format_for(records)
        windowing = self._windowing.apply_to(records)
        if self._windowing.changes():
            records = records | "WindowRecords" >> window_into(windowing)
        plan = self._plan(records.pipeline, format, windowing, stateful=is_stateful, bounded=records.is_bounded)
        encoded = records | "EncodeSegments" >> _encoder(plan, windowing).with_outputs(
            SHARDS, DEAD_LETTERS, INPUT_TOTALS, main="rests"
        )
        totals = encoded[INPUT_TOTALS]
        if not plan.unbounded:
            totals = totals | "SumInput" >> SumInput(beam.WindowInto(GlobalWindows()))
        whole = encoded[SHARDS] | "UploadWhole" >> beam.ParDo(UploadShards(plan)).with_output_types(ShardFile)
        rests = encoded["rests"]
        if records.is_bounded and records.windowing.triggerfn != windowing.triggerfn:
            whole = whole | "FireShardsOnce" >> FireOnce(plan.windows, windowing)
            rests = rests | "FireRestsOnce" >> FireOnce(plan.windows, windowing)
        pack = self._pack_by_state if is_stateful else self._pack_by_group
        shards = (whole, pack(rests, plan, windowing)) | "ShardFiles" >> beam.Flatten()
        return WriteToS3BoxResult(
            shards=shards,
            manifests=self._write_manifests(shards, totals, plan),
            dead_letters=encoded[DEAD_LETTERS] | "WriteDeadLetters" >> WriteDeadLetters(plan),
            input_totals=totals,
        )

    def display_data(self) -> dict[str, Any]:
        """Return the settings that runners show beside the step."""
        naming = self._naming
        limits = self._limits
        by_stream = "by function" if callable(limits) else "by pattern" if isinstance(limits, Mapping) else str(limits)
        return {
            "destination": DisplayDataItem(str(self._destination), label="Destination"),
            "run_id": DisplayDataItem(self.run_id, label="Run id"),
            "format": DisplayDataItem(self._format.name, label="Format"),
            "limits": DisplayDataItem(by_stream, label="Limits of a shard"),
            "manifests": DisplayDataItem(str(self._manifests), label="Manifests"),
            "domain": DisplayDataItem(named_by(naming.domain, naming.domain_field, naming), label="Domain"),
            "namespace": DisplayDataItem(named_by(naming.namespace, naming.namespace_field, naming), label="Namespace"),
            "on_bad_record": DisplayDataItem("fail" if self._fail_on_bad_record else "dead_letter"),
            "max_dead_letters": DisplayDataItem(str(self.dead_letter_limit), label="Dead letters at the most"),
            "packing": DisplayDataItem(self._packing, label="Packing"),
            "lanes": DisplayDataItem(self._lanes, label="Lanes of a stream"),
            "upload_concurrency": DisplayDataItem(self._upload_concurrency, label="Uploads at a time"),
        }

    def _is_stateful(self, records: beam.PCollection[Any]) -> bool:
        if self._packing == "group" and not records.is_bounded:
            raise ConfigurationError(
                "packing='group' needs bounded input: the shards of unbounded input would wait for an end that never "
                "comes; use packing='auto' or 'stateful'"
            )
        return self._packing == "stateful" or not records.is_bounded

    def _pack_by_group(self, rests: beam.PCollection, plan: WritePlan, windowing: Windowing) -> beam.PCollection:
        packed = rests | "PackShards" >> PackShards(plan)
        return packed | "UploadPacked" >> beam.ParDo(UploadShards(plan)).with_output_types(ShardFile)

    def _pack_by_state(self, rests: beam.PCollection, plan: WritePlan, windowing: Windowing) -> beam.PCollection:
        upload = beam.ParDo(UploadKeyedShards(plan)).with_output_types(tuple[bytes, ShardFile])
        return (
            rests
            | "PackShards" >> PackByState(plan, windowing.allowed_lateness, self._clock)
            | "UploadPacked" >> upload
            | "ReturnToWindows" >> ReturnToWindows(plan.windows, windowing, ShardFile)
        )

    def _format_for(self, records: beam.PCollection[Any]) -> Format:
        """Return the format, with the schema that the elements' type says where only its name was given."""
        if not self._finds_schema:
            return self._format
        from beam_s3box.formats import AvroFormat

        schema = avro_schema_of_elements(records.element_type, keyed=self._naming.is_keyed)
        return AvroFormat(schema, for_redshift=self._manifests is not None)

    def _plan(
        self, pipeline: beam.Pipeline, format: Format, windowing: Windowing, *, stateful: bool, bounded: bool
    ) -> WritePlan:
        s3 = pipeline.options.view_as(S3Options)
        settings = settings_with_options(self._s3 or S3Settings(), s3)
        store = open_store(self._destination, settings, credentials_of(s3))
        if self._is_applied and self._given_run_id is None:
            self.run_id = new_run_id()
        self._is_applied = True
        check_only_write(pipeline, store.root, self.run_id)
        layout = Layout.below(store.root, self.run_id, self._key_template)
        return WritePlan(
            store=store,
            layout=layout,
            format=format,
            selector=self._naming,
            rules=self._rules,
            limits_of=self._limits_of,
            claim=self._claimed(layout, bounded=bounded),
            fail_on_bad_record=self._fail_on_bad_record,
            dead_letter_limit=self.dead_letter_limit,
            upload_concurrency=self._upload_concurrency,
            windows=Windows(windowing.windowfn),
            lanes=self._lanes,
            min_fill_to_seal=_SEAL_WHOLE_ONLY if stateful else self._seal_from(pipeline),
            unbounded=not bounded,
        )

    def _claimed(self, layout: Layout, *, bounded: bool) -> RunClaim:
        named = self._given_run_id is not None
        self.claim = RunClaim(layout, new_token(_ATTEMPT_CHARACTERS), bounded=bounded, named=named)
        return self.claim

    def _seal_from(self, pipeline: beam.Pipeline) -> float:
        return (
            0.0
            if self._rests == "seal" or (self._rests == "auto" and _makes_one_bundle(pipeline))
            else DEFAULT_MIN_FILL
        )

    def _write_manifests(
        self, shards: beam.PCollection, totals: beam.PCollection, plan: WritePlan
    ) -> beam.PCollection[Manifest]:
        if self._manifests is not None:
            return (shards, totals) | "WriteManifests" >> WriteManifests(plan, self._manifests)
        if plan.unbounded:
            return shards | "NoManifests" >> beam.ParDo(_Drop()).with_output_types(Manifest)
        return (shards, totals) | "FinishRun" >> FinishRunOfShards(plan)


class _Drop(beam.DoFn):
    def process(self, element: Any) -> None:
        """Emit nothing."""


def _encoder(plan: WritePlan, windowing: Windowing) -> beam.ParDo:
    in_global_window = isinstance(windowing.windowfn, GlobalWindows)
    encode = EncodeSegments(plan) if in_global_window else EncodeWindowedSegments(plan)
    tagged = {SHARDS: SealedShard, DEAD_LETTERS: BeamList[DeadLetter], INPUT_TOTALS: BY_FILE}
    return beam.ParDo(encode).with_output_types(_REST, **tagged)


def _makes_one_bundle(pipeline: beam.Pipeline) -> bool:
    """Return whether the runner is Beam's local one with one worker in this process."""
    direct = pipeline.options.view_as(DirectOptions)
    in_process = direct.direct_num_workers == 1 and direct.direct_running_mode == "in_memory"
    return type(pipeline.runner).__name__ == "FnApiRunner" and in_process
