"""The record of a run, `runs/{run_id}.json`: who claimed the run id, the state of the run, and its valid manifests."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeVar

import orjson

from beam_s3box.engine.input_totals import DeadLetterReason
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_totals import RunInput, StreamTotals, joined_input
from beam_s3box.engine.shard_lists import ShardList
from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.model import NOTHING, Size

State = Literal["running", "finished", "failed"]

_STATES: Final = ("running", "finished", "failed")
KINDS: Final = (
    "transform",
    "backfill",
    "stream",
    "pack",
    "S3Box",
    "JsonBufferStreamer",
    "compact",
    "redrive",
)
"""What writes runs: the transform in a pipeline of the user's, commands, and classes."""

STREAMER: Final = "JsonBufferStreamer"

_T = TypeVar("_T")
_FORMAT: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_READ_ANOTHER: Final = "give the run_id of another run, and move that object out of runs/"
_SHOWN_CHARACTERS: Final = 500
"""Characters of an error in the record, so that it stays small."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOrigin:
    """What wrote a run, and where.

    Attributes:
      kind: one of `KINDS`; "" if nobody said.
      version: of this package.
      runner: of the pipeline, empty without one.
      job_name: of the pipeline, empty without one.
      settings: what the user chose, as JSON has it and without secrets.
      parent: the id of the run that this one writes again, as `compact` and `redrive` do; None otherwise.
      input: what is known of the input before the run.
    """

    kind: str = ""
    version: str = ""
    runner: str = ""
    job_name: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parent: str | None = None
    input: RunInput | None = None


class RunDetail(NamedTuple):
    """What is known of a run when it has finished, besides its manifests and size.

    Attributes:
      shard_lists: the lists of its shards.
      streams: what it wrote of each stream.
      input: what came in; None if unknown.
    """

    shard_lists: tuple[ShardList, ...] = ()
    streams: tuple[StreamTotals, ...] = ()
    input: RunInput | None = None


UNKNOWN: Final = RunOrigin()
NO_DETAIL: Final = RunDetail()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of a run's record.

    Attributes:
      run_id: the name of the run.
      attempt: a random token of the execution that has the run id, created when the pipeline was built.
      bounded: whether the run is bounded. The manifests of an unbounded run are valid as soon as they are written.
      state: "running", "finished" or "failed".
      began: when the run id was claimed, in UTC.
      ended: when the run finished or failed, in UTC; None before.
      superseded: executions that had the run id before and did not finish.
      error: why the run failed; None otherwise.
      size: the records and bytes of the run's shards, when it has finished.
      shards: the number of its shards, when it has finished.
      manifests: its valid manifests, when it has finished.
      shard_lists, streams, input: see `RunDetail`, when it has finished; none in records of earlier versions. The
        shards of an unbounded run are in other lists, see `beam_s3box.engine.run_reader`.
      kind, version, runner, job_name, settings, parent: see `RunOrigin`; empty in records of earlier versions.
    """

    run_id: str
    attempt: str
    bounded: bool
    state: State = "running"
    began: str = ""
    ended: str | None = None
    superseded: tuple[str, ...] = ()
    error: str | None = None
    size: Size = NOTHING
    shards: int = 0
    manifests: tuple[Manifest, ...] = ()
    shard_lists: tuple[ShardList, ...] = ()
    streams: tuple[StreamTotals, ...] = ()
    input: RunInput | None = None
    kind: str = ""
    version: str = ""
    runner: str = ""
    job_name: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parent: str | None = None

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """The digests of the valid manifests, by key."""
        return {manifest.key: manifest.sha256 for manifest in self.manifests}

    @property
    def interrupted(self) -> str:
        """What a person has to know of a finished run whose input was not read to its end; empty for all others."""
        if self.state != "finished" or self.input is None or not self.input.stopped_at:
            return ""
        return (
            f"it was interrupted: the {self.input.records:,} records that it read count, and the rest of its input, "
            f"from {self.input.stopped_at}, was not read"
        )

    @property
    def counts_uploads(self) -> bool:
        """Whether its totals are of what the run has uploaded, and not of what its manifests list.

        So it is of a streamer: it lists what the one before it on the folder has left, and the next one what it leaves.
        """
        return self.kind == STREAMER

    @property
    def has_no_manifests(self) -> bool:
        """Whether it is of a streamer that writes no manifests: nothing says then which objects are its own."""
        return self.kind == STREAMER and not self.settings.get("manifests")

    @property
    def may_have_unlisted_data(self) -> bool:
        """Whether shards that neither its manifests nor its lists name may be data that counts, and not garbage.

        So it is of a streamer, whose files the next one on the folder may list, or which are data without manifests;
        of an `S3Box`, whose shards are known to the program that made it; of an unbounded run without manifests; and
        of records of earlier versions, which have no lists and don't say whether the run writes manifests.
        """
        if self.kind in ("S3Box", STREAMER):
            return self.state != "finished" or self.kind == STREAMER
        if not self.bounded:
            return not self.settings.get("manifest_scope")
        if self.state == "finished":
            return bool(self.shards) and not self.manifests and not self.shard_lists
        return not self.kind and self.state == "running"

    @classmethod
    def begin(cls, run_id: str, attempt: str, origin: RunOrigin, now: float, *, bounded: bool) -> RunRecord:
        """Return the record of a run that begins; `now` is in seconds since the epoch."""
        return cls(run_id=run_id, attempt=attempt, bounded=bounded, began=moment_text(now), **vars(origin))

    def finished(
        self, size: Size, shards: int, manifests: Sequence[Manifest], now: float, detail: RunDetail = NO_DETAIL
    ) -> RunRecord:
        """Return the record of the finished run; `now` is in seconds since the epoch."""
        rows = tuple(sorted(manifests, key=lambda manifest: manifest.key))
        return dataclasses.replace(
            self,
            state="finished",
            ended=moment_text(now),
            size=size,
            shards=shards,
            manifests=rows,
            shard_lists=detail.shard_lists,
            streams=detail.streams,
            input=joined_input(self.input, detail.input),
        )

    def failed(self, error: str, now: float) -> RunRecord:
        """Return the record of the failed run; `now` is in seconds since the epoch."""
        # the names of files in it may not be valid Unicode
        text = error[:_SHOWN_CHARACTERS].encode("utf-8", "backslashreplace").decode("utf-8")
        return dataclasses.replace(self, state="failed", ended=moment_text(now), error=text)

    def render(self) -> bytes:
        """Return the text of the record: indented JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["size"] = self.size._asdict()
        values["manifests"] = [manifest._asdict() for manifest in self.manifests]
        values["shard_lists"] = [shards._asdict() for shards in self.shard_lists]
        try:
            return orjson.dumps(values, option=_FORMAT)
        except TypeError:  # names of files may not be valid Unicode
            return orjson.dumps(_valid(values), option=_FORMAT)

    @classmethod
    def parse(cls, url: str, body: bytes, fix: str = _READ_ANOTHER) -> RunRecord:
        """Return the record with this text.

        Args:
          url: of the record.
          body: its text.
          fix: what to do where it is none, for the message; that for a run which is read, unless another is given.

        Raises:
          ConfigurationError: the text is not the record of a run.
        """
        try:
            values: dict[str, Any] = orjson.loads(body)
            values["superseded"] = tuple(values["superseded"])
            values["size"] = Size(**values["size"])
            values["manifests"] = tuple(Manifest(**manifest) for manifest in values["manifests"])
            # what earlier versions did not write
            values["shard_lists"] = tuple(ShardList(**shards) for shards in values.get("shard_lists", ()))
            values["streams"] = tuple(_known(StreamTotals, totals) for totals in values.get("streams", ()))
            values["input"] = _parse_input(values.get("input"))
            record = _known(cls, values)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ConfigurationError(
                f"{url} is not the record of a run ({type(exc).__name__}: {exc}): another program wrote it, or changed "
                f"it; {fix}"
            ) from exc
        if record.state not in _STATES:
            raise ConfigurationError(
                f"{url} has state={record.state!r}, which must be one of {', '.join(_STATES)}; {fix}"
            )
        return record


def _parse_input(values: dict[str, Any] | None) -> RunInput | None:
    if values is None:
        return None
    values["reasons"] = tuple(_known(DeadLetterReason, reason) for reason in values.get("reasons", ()))
    values["bad_files"] = tuple((name, number) for name, number in values.get("bad_files", ()))
    return _known(RunInput, values)


def _valid(value: Any) -> Any:
    """Return a value with text that UTF-8 can express."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {_valid(name): _valid(inner) for name, inner in value.items()}
    return [_valid(inner) for inner in value] if isinstance(value, list | tuple) else value


def _known(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """Return the values as an object, without those that a later version may have added."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})


def moment_text(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as text in UTC: `2026-11-22T10:15:00Z`."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
