"""WriteToS3Box: from any PCollection to gzip JSON shards in an object store, and the manifests that COPY takes."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

import apache_beam as beam
from apache_beam.options.pipeline_options import S3Options
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.transforms.window import GlobalWindows, WindowFn

from beam_s3box.checks import check_bool
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.commit import OnCommit
from beam_s3box.engine.dead_letter_limit import DeadLetterLimit
from beam_s3box.engine.manifests import Manifest, Manifests
from beam_s3box.engine.plan import OnBadRecord, RunPlan, WriteSpec
from beam_s3box.engine.run_record import UNKNOWN, RunOrigin
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import AVRO, Format, format_named
from beam_s3box.records.long_values import LongValues
from beam_s3box.records.selector import StreamFunction, StreamSelector
from beam_s3box.shards.keys import DEFAULT_DATA_KEY
from beam_s3box.shards.limits import Limits, StreamLimits
from beam_s3box.shards.model import ShardFile
from beam_s3box.stores import Store, open_store, warn_of_missing_scheme
from beam_s3box.stores.s3_settings import S3Settings, s3_settings_of
from beam_s3box.transforms.arguments import check_only_write, check_reachable, named_by
from beam_s3box.transforms.avro_schema import avro_schema_of_elements
from beam_s3box.transforms.check_destination import CheckDestination
from beam_s3box.transforms.encoded import Encoded, encode_records
from beam_s3box.transforms.engines import configure_or_reject, may_repeat_bundles, runs_stages_in_order
from beam_s3box.transforms.finish import Drop, FinishRunOfShards
from beam_s3box.transforms.input_totals import BY_FILE, SumInput
from beam_s3box.transforms.manifests import WriteManifests
from beam_s3box.transforms.origin import origin_in
from beam_s3box.transforms.pack import PackAndUpload, PackShards
from beam_s3box.transforms.pack_by_state import PackByState
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.result import OneByOne, WriteToS3BoxResult
from beam_s3box.transforms.rewindow import FireOnce, RestoreWindows
from beam_s3box.transforms.s3_options import credentials_of, settings_with_options
from beam_s3box.transforms.tuning import Tuning
from beam_s3box.transforms.upload import UploadKeyedShards, UploadShards
from beam_s3box.transforms.windowing import WindowingChoice, window_into
from beam_s3box.transforms.windows import Windows

_LOGGER = logging.getLogger(__name__)


class WriteToS3Box(beam.PTransform):
    """Writes records, grouped by stream, as gzip JSON shards, and the manifests that list them.

    Takes dicts, JSON text (`str` or `bytes`), Beam rows, NamedTuples, dataclasses, or any of these keyed as
    `((domain, namespace), record)`. One object may be applied any number of times: each application is a run.

    *Guarantees*: when a pipeline succeeds, every accepted record is in exactly one listed shard, and every other one
    in `dead_letters`. A failure leaves at worst unlisted shards, never a manifest that lists a shard which is missing,
    partial or duplicated. An upload that fails after its retries fails the pipeline. With unbounded input no record
    waits longer than its stream's `max_seconds`, nor past the end of its window; a manifest that a runner writes again
    after it restored a checkpoint replaces the one of the same name.

    *Windows*: a shard never spans two windows, and each window has manifests of its own: one for every firing that has
    shards, named by the number of the pane. Records later than the allowed lateness are in shards that the runner lets
    no manifest list; `shards` has them. Merging windows (sessions) are rejected. Unbounded input needs windows, or
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
      domain: a constant, the domain of all records.
      namespace: a constant, the namespace of all records.
      domain_field: the top-level field whose text or number is the domain.
      namespace_field: the top-level field whose text or number is the namespace.
      stream: a function from the record, as a mapping, to (domain, namespace).
      limits: the limits of a shard: a StreamLimits, a mapping from patterns such as `"web/*"`, or a function of the
        stream. Default: objects of 64 MiB.
      format: `"json-lines"`, `"json-array"`, `"avro"` (with the schema of the elements' type), or a Format such as
        AvroFormat(schema). A record that does not fit is a dead letter. With manifests, logical types are written as
        text, because COPY can't read them; without, they are kept.
      compression_level: of JSON, from 1 (fastest) to 9 (slowest); default: 4.
      manifests: Manifests, or None for none; `"auto"`: one per stream if COPY can load the format.
      run_id: the name of the run, which is in every key; no other write of the pipeline may have it. Default: a new one
        that sorts by time, made each time that the transform is applied; `result.run_id` returns it.
      on_bad_record: `"dead_letter"`, or `"fail"` to fail the pipeline with the reason.
      max_dead_letters: a number of records, or a share of them such as `"5%"`: the run fails if more are dead letters,
        0 on the first, `"100%"` never. Default: it fails if all are, or all of one file where a job reads files. For
        unbounded input a number applies to each bundle, and a share is not possible.
      max_record_bytes: bytes of one record, `|` counted twice; default: 4,000,000 with manifests, else no limit.
      long_values: with manifests, what happens to a text of more than 65,535 bytes, which Redshift can't store:
        `"reject"`: its record is a dead letter; `"truncate"`: it is cut at the end of a character; `"keep"`.
      s3: settings of S3 beyond Beam's `--s3_*` options, which set endpoint, region and keys.
      windowing: a window function, or a WindowInto with its own trigger; default: the input's windows.
      allowed_lateness: seconds after a window's end for which late records get manifests of their own, as they arrive.
      triggering_frequency: whole seconds between manifests of a window that has not ended; default: none before its
        end. The lateness is then at least a minute more than this.
      key_template: template of a shard's key below the destination, as `".../dt={window_start:%Y-%m-%d}/..."`.
      on_commit: a function that takes a Commit, called on a worker after the run, or for unbounded input after each
        manifest, at least once, by several threads; if it raises, the bundle fails. It is pickled.
      check_destination: whether a worker tries to write as soon as the pipeline starts, so that a wrong key fails it
        within seconds: a small object is written and deleted. Set it to False if you have checked before.
      tuning: settings for experts, see Tuning.

    Raises:
      ConfigurationError: an argument that can't work; names parameter, value, rule and fix.

    Attributes:
      claim: the claim of the latest application to its run id.
      origin: what the run's record says of the command that writes it; set it before the write is applied.
      encode: adds the first stage; set another one before the write is applied.
    """

    claim: RunClaim
    origin: RunOrigin = UNKNOWN
    encode: Callable[[beam.PCollection, WritePlan, Windowing], Encoded] = staticmethod(encode_records)

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
        compression_level: int | None = None,
        manifests: Manifests | Literal["auto"] | None = "auto",
        run_id: str | None = None,
        on_bad_record: OnBadRecord = "dead_letter",
        max_dead_letters: int | str | None = None,
        max_record_bytes: int | None = None,
        long_values: LongValues = "reject",
        s3: S3Settings | None = None,
        windowing: beam.WindowInto | WindowFn | None = None,
        allowed_lateness: float | None = None,
        triggering_frequency: int | None = None,
        key_template: str = DEFAULT_DATA_KEY,
        on_commit: OnCommit | None = None,
        check_destination: bool = True,
        tuning: Tuning | None = None,
    ) -> None:
        super().__init__()
        if tuning is not None and not isinstance(tuning, Tuning):
            raise ConfigurationError(f"tuning={tuning!r} must be a Tuning, such as Tuning(upload_concurrency=16)")
        self._destination = destination
        self._tuning = tuning or Tuning()
        self._finds_schema = format == AVRO
        self._spec = WriteSpec(
            selector=StreamSelector(domain, namespace, domain_field, namespace_field, stream),
            format=format_named(format, compression_level, finds_schema=True),
            manifests=manifests,
            limits=StreamLimits() if limits is None else limits,
            run_id=run_id,
            on_bad_record=on_bad_record,
            max_dead_letters=max_dead_letters,
            max_record_bytes=max_record_bytes,
            long_values=long_values,
            upload_concurrency=self._tuning.upload_concurrency,
            key_template=key_template,
            on_commit=on_commit,
        )
        self._shown_run_id = run_id or ""
        self._s3 = s3_settings_of(s3)
        self._checks = check_bool("check_destination", check_destination)
        self._windowing = WindowingChoice(windowing, allowed_lateness, triggering_frequency)
        open_store(warn_of_missing_scheme(destination), self._s3)

    @property
    def dead_letter_limit(self) -> DeadLetterLimit:
        """How many records may be dead letters."""
        return self._spec.dead_letter_limit

    @property
    def max_record_bytes(self) -> int | None:
        """Bytes of the largest record, `|` counted twice; None for no limit."""
        return self._spec.rules.max_bytes

    def expand(self, records: beam.PCollection[Any]) -> WriteToS3BoxResult:
        """Return the shards, manifests and dead letters of the records, and the id of this run."""
        if not isinstance(records, beam.PCollection):
            raise ConfigurationError(
                "WriteToS3Box was applied to a pipeline or to several PCollections, and takes one PCollection: apply "
                "it to the records, as records | WriteToS3Box(...)"
            )
        is_stateful = self._tuning.is_stateful(records)
        configure_or_reject(records, stateful=is_stateful)
        windowing = self._windowing.apply_to(records)
        plan = self._plan(records, windowing, stateful=is_stateful)
        if self._windowing.changes():
            records = records | "WindowRecords" >> window_into(windowing)
        if self._checks:
            records.pipeline | "CheckDestination" >> CheckDestination(plan)
        whole, remainders, letters, totals = self.encode(records, plan, windowing)
        if not plan.unbounded:
            totals = totals | "SumInput" >> SumInput(beam.WindowInto(GlobalWindows()))
        if whole is not None and records.is_bounded and records.windowing.triggerfn != windowing.triggerfn:
            whole = whole | "FireShardsOnce" >> FireOnce(plan.windows, windowing)
            remainders = remainders | "FireRemaindersOnce" >> FireOnce(plan.windows, windowing)
        if whole is None:
            shards = remainders | "PackShards" >> PackAndUpload(plan)
        elif is_stateful:
            shards = (whole, self._pack_by_state(remainders, plan, windowing)) | "ShardFiles" >> beam.Flatten()
        else:
            shards = (whole, _pack_by_group(remainders, plan)) | "ShardFiles" >> beam.Flatten()
        result = WriteToS3BoxResult(
            shards=shards | "EmitShards" >> beam.ParDo(OneByOne()).with_output_types(ShardFile),
            manifests=_write_manifests(shards, totals, plan),
            dead_letters=letters,
            input_totals=totals | "EmitInputTotals" >> beam.ParDo(OneByOne()).with_output_types(BY_FILE),
        )
        result.run_id = plan.layout.run_id
        return result

    def display_data(self) -> dict[str, Any]:
        """Return the settings that runners show next to the step."""
        spec, selector = self._spec, self._spec.selector
        limits = "by pattern" if isinstance(spec.limits, Mapping) else str(spec.limits)
        return {
            "destination": DisplayDataItem(str(self._destination), label="Destination"),
            "run_id": DisplayDataItem(self._shown_run_id, label="Run id"),
            "format": DisplayDataItem(spec.format.name, label="Format"),
            "limits": DisplayDataItem("by function" if callable(spec.limits) else limits, label="Limits of a shard"),
            "manifests": DisplayDataItem(str(spec.resolved_manifests), label="Manifests"),
            "domain": DisplayDataItem(named_by(selector.domain, selector.domain_field, selector), label="Domain"),
            "namespace": DisplayDataItem(
                named_by(selector.namespace, selector.namespace_field, selector), label="Namespace"
            ),
            "on_bad_record": DisplayDataItem(spec.on_bad_record),
            "max_dead_letters": DisplayDataItem(str(spec.dead_letter_limit), label="Dead letters at most"),
            "packing": DisplayDataItem(self._tuning.packing, label="Packing"),
            "upload_concurrency": DisplayDataItem(spec.upload_concurrency, label="Uploads at a time"),
        }

    def _plan(self, records: beam.PCollection[Any], windowing: Windowing, *, stateful: bool) -> WritePlan:
        """Return the plan of one application, under a run id that no other write of the pipeline has."""
        pipeline, spec = records.pipeline, self._spec
        if self._finds_schema:
            from beam_s3box.formats import AvroFormat

            schema = avro_schema_of_elements(records.element_type, keyed=spec.selector.is_keyed)
            spec = dataclasses.replace(spec, format=AvroFormat(schema))
        s3 = pipeline.options.view_as(S3Options)
        settings = settings_with_options(self._s3, s3)
        store = open_store(self._destination, settings, credentials_of(s3))
        check_reachable(self._destination, store, pipeline)
        run = spec.plan(
            store,
            bounded=records.is_bounded,
            windowed=windowing.windowfn != GlobalWindows(),
            origin=origin_in(pipeline, spec, self.origin),
        )
        self._begin(pipeline, run)
        return WritePlan(
            **vars(run),
            windows=Windows(windowing.windowfn),
            min_fill_to_seal=self._tuning.min_fill_to_seal(pipeline, stateful=stateful),
            unbounded=not records.is_bounded,
            check_before_reading=self._checks and runs_stages_in_order(pipeline),
            repeats_bundles=may_repeat_bundles(records) and not stateful,
        )

    def _begin(self, pipeline: beam.Pipeline, run: RunPlan) -> None:
        check_only_write(pipeline, run.store.root, run.layout.run_id)
        self.claim, self._shown_run_id = run.claim, run.layout.run_id
        if self._spec.run_id is None:  # one that was given is known
            _LOGGER.info("run_id=%r names this write to %s", run.layout.run_id, run.store.root)
        if not run.claim.bounded and self._spec.max_dead_letters is not None and run.dead_letter_limit.needs_end:
            _LOGGER.warning(
                "max_dead_letters=%r is a share of all records, which nobody knows of unbounded input: give a number, "
                "which is checked in each bundle, or watch result.input_totals",
                self._spec.max_dead_letters,
            )

    def _pack_by_state(self, remainders: beam.PCollection, plan: WritePlan, windowing: Windowing) -> beam.PCollection:
        upload = beam.ParDo(UploadKeyedShards(plan)).with_output_types(tuple[bytes, ShardFile])
        return (
            remainders
            | "PackShards" >> PackByState(plan, windowing.allowed_lateness, self._tuning.clock)
            | "UploadPacked" >> upload
            | "RestoreWindows" >> RestoreWindows(plan.windows, windowing, ShardFile)
        )


def _pack_by_group(remainders: beam.PCollection, plan: WritePlan) -> beam.PCollection:
    packed = remainders | "PackShards" >> PackShards(plan)
    return packed | "UploadPacked" >> beam.ParDo(UploadShards(plan)).with_output_types(ShardFile)


def _write_manifests(shards: beam.PCollection, totals: beam.PCollection, plan: WritePlan) -> beam.PCollection[Manifest]:
    if plan.manifests is not None:
        return (shards, totals) | "WriteManifests" >> WriteManifests(plan, plan.manifests)
    if plan.unbounded:
        return shards | "NoManifests" >> beam.ParDo(Drop()).with_output_types(Manifest)
    return (shards, totals) | "FinishRun" >> FinishRunOfShards(plan)
