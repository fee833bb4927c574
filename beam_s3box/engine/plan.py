"""One plan for every write, with Beam or without: the settings of the user, and those of one run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from beam_s3box.checks import check_whole
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.commit import OnCommit, check_on_commit
from beam_s3box.engine.dead_letter_limit import NOT_ALL, DeadLetterLimit
from beam_s3box.engine.manifests import Manifests
from beam_s3box.engine.run_record import UNKNOWN, RunOrigin
from beam_s3box.engine.shard_builder import DEFAULT_BUDGET_BYTES
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import Format, resolved_for
from beam_s3box.records.encoding import RecordRules, record_rules
from beam_s3box.records.event_times import EventTimes
from beam_s3box.records.long_values import LongValues
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import DEFAULT_DATA_KEY, Layout
from beam_s3box.shards.limits import Limits, StreamLimits, limits_by_stream
from beam_s3box.shards.runs import NewRunId, check_run_id, new_run_id, new_token
from beam_s3box.stores import Store

OnBadRecord: TypeAlias = Literal["dead_letter", "fail"]

_MAX_UPLOADS: Final = 256
"""Uploads at a time in a process: with more connections S3 slows down."""


def check_upload_concurrency(value: int) -> int:
    """Return the number of uploads at a time.

    Raises:
      ConfigurationError: it is not a whole number, or out of range.
    """
    return check_whole("upload_concurrency", value, 1, _MAX_UPLOADS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPlan:
    """Settings of one run; without clients and credentials, so that it can be pickled.

    Attributes:
      store: where objects are written.
      layout: the keys of these objects.
      format: the format of shards.
      selector: how a record names its stream.
      rules: what makes a record invalid.
      limits_of: returns the limits of a stream.
      claim: the claim to the run id.
      manifests: which manifests to write, None for none.
      fail_on_bad_record: whether an invalid record fails the run.
      dead_letter_limit: how many records may be dead letters.
      upload_concurrency: uploads at a time in each process.
      on_commit: is called when something counts; None for nothing.
      times: by which a packer puts lines into windows; None where others do, or nobody.
      budget: bytes that may wait in memory before the largest streams are flushed or sealed early.
    """

    store: Store
    layout: Layout
    format: Format
    selector: StreamSelector
    rules: RecordRules
    limits_of: Callable[[Stream], StreamLimits]
    claim: RunClaim
    manifests: Manifests | None = None
    fail_on_bad_record: bool = False
    dead_letter_limit: DeadLetterLimit = NOT_ALL
    upload_concurrency: int = 8
    on_commit: OnCommit | None = None
    times: EventTimes | None = None
    budget: int = DEFAULT_BUDGET_BYTES

    @property
    def dead_letters_url(self) -> str:
        """Where the files of dead letters are."""
        return self.store.url(self.layout.dead_letter_folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WriteSpec:
    """The settings that the user gave to a write, checked when it is created. It can plan any number of runs.

    Attributes:
      selector: how a record names its stream.
      format: the format of shards.
      manifests: which manifests to write, None for none; `"auto"`: one per stream if COPY can load the format.
      limits: the limits of a shard, for all streams or by stream.
      run_id: the name of the run; None for a new one each time that a run is planned.
      on_bad_record: `"dead_letter"` or `"fail"`.
      max_dead_letters: a number of records or a share of them such as `"5%"`; None: not all.
      max_record_bytes: bytes of one record; None for 4,000,000 with manifests, and no limit without.
      long_values: what happens to a text that Redshift can't store.
      upload_concurrency: uploads at a time in each process.
      key_template: template of a shard's key below the destination, see `KeyTemplate`.
      times: by which lines go into windows, without Beam.
      on_commit: a function that takes a Commit; called when a bounded run or a manifest of an unbounded one counts, at
        least once. It is pickled with a pipeline.

    Raises:
      ConfigurationError: an argument that can't work; names parameter, value, rule and fix.
    """

    selector: StreamSelector
    format: Format
    manifests: Manifests | Literal["auto"] | None = "auto"
    limits: Limits = dataclasses.field(default_factory=StreamLimits)
    run_id: str | None = None
    on_bad_record: OnBadRecord = "dead_letter"
    max_dead_letters: int | str | None = None
    max_record_bytes: int | None = None
    long_values: LongValues = "reject"
    upload_concurrency: int = 8
    key_template: str = DEFAULT_DATA_KEY
    times: EventTimes | None = None
    on_commit: OnCommit | None = None

    def __post_init__(self) -> None:
        if self.on_bad_record not in ("dead_letter", "fail"):
            raise ConfigurationError(f"on_bad_record={self.on_bad_record!r} must be 'dead_letter' or 'fail'")
        check_upload_concurrency(self.upload_concurrency)
        check_on_commit(self.on_commit)
        Layout(self._run_id(), data_key=self.key_template)
        _ = (
            self.limits_of,
            self.resolved_format,
            self.rules,
            self.dead_letter_limit,
        )  # each raises if its arguments can't work

    @functools.cached_property
    def limits_of(self) -> Callable[[Stream], StreamLimits]:
        """The function that returns the limits of a stream."""
        return limits_by_stream(self.limits)

    @functools.cached_property
    def dead_letter_limit(self) -> DeadLetterLimit:
        """How many records may be dead letters."""
        return DeadLetterLimit.of(self.max_dead_letters)

    @functools.cached_property
    def resolved_manifests(self) -> Manifests | None:
        """Which manifests to write, None for none."""
        if self.manifests == "auto":
            return Manifests() if self.format.copy_clause else None
        if self.manifests is not None and not isinstance(self.manifests, Manifests):
            raise ConfigurationError(f"manifests={self.manifests!r} must be a Manifests, None or 'auto'")
        if self.manifests is not None and self.format.copy_clause is None:
            raise ConfigurationError(
                f"format={self.format.name!r} and manifests={self.manifests!r} are mutually exclusive: COPY can't load "
                "rows from it; use format='json-lines', or manifests=None"
            )
        return self.manifests

    @functools.cached_property
    def resolved_format(self) -> Format:
        """The format, with its types as COPY reads them if there are manifests."""
        return resolved_for(self.format, copy=self.resolved_manifests is not None)

    @functools.cached_property
    def rules(self) -> RecordRules:
        """What makes a record invalid."""
        return record_rules(
            for_redshift=self.resolved_manifests is not None,
            max_record_bytes=self.max_record_bytes,
            long_values=self.long_values,
        )

    def plan(
        self, store: Store, *, bounded: bool = True, windowed: bool = False, origin: RunOrigin = UNKNOWN
    ) -> RunPlan:
        """Return the plan of one run.

        Args:
          store: where objects are written.
          bounded: whether the run has an end.
          windowed: whether the records are in windows that begin and end.
          origin: what writes it, for its record.

        Raises:
          ConfigurationError: the URLs of shards below this destination would be too long, keys have the time of a
            window, and there are none, or `on_commit` would never be called.
        """
        run_id = self._run_id()
        layout = Layout.below(store.root, str(run_id), self.key_template)
        if self.on_commit is not None and not bounded and self.resolved_manifests is None:
            raise ConfigurationError(
                "on_commit has nothing to wait for: unbounded input without manifests is never committed; write "
                "manifests, or watch result.shards"
            )
        if not windowed and self.times is None:
            layout.template.check_windows()
        is_named = not isinstance(run_id, NewRunId)
        return RunPlan(
            store=store,
            layout=layout,
            format=self.resolved_format,
            selector=self.selector,
            rules=self.rules,
            limits_of=self.limits_of,
            claim=RunClaim(layout, new_token(), bounded=bounded, named=is_named, origin=origin),
            manifests=self.resolved_manifests,
            fail_on_bad_record=self.on_bad_record == "fail",
            dead_letter_limit=self.dead_letter_limit,
            upload_concurrency=self.upload_concurrency,
            times=self.times,
            on_commit=self.on_commit,
        )

    def _run_id(self) -> str:
        return new_run_id() if self.run_id is None else check_run_id(self.run_id)
