"""What a finished run wrote, in numbers: for the table, the report and the exit code."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from beam_s3box.engine.input_totals import DeadLetterReason


@dataclasses.dataclass(frozen=True)
class StreamTotals:
    """What a run wrote of one stream.

    Attributes:
      domain, namespace: its name.
      records, shards, raw_bytes, object_bytes: in its shards.
      manifests: URLs; none where the run's manifests list all streams.
    """

    domain: str
    namespace: str
    records: int
    shards: int
    raw_bytes: int
    object_bytes: int
    manifests: list[str]


@dataclasses.dataclass(frozen=True)
class RunReport:
    """What a run read and wrote.

    Attributes:
      run_id: its name.
      records_in: records read.
      records_listed: records in shards that manifests list; in shards, where there are no manifests.
      dead_letters: records that could not be packed.
      streams: by name.
      manifests: URLs of all manifests.
      seconds: how long it took.
      dead_letter_reasons: why records are dead letters, the most frequent reason first.
    """

    run_id: str
    records_in: int
    records_listed: int
    dead_letters: int
    streams: list[StreamTotals]
    manifests: list[str]
    seconds: float = 0.0
    dead_letter_reasons: list[DeadLetterReason] = dataclasses.field(default_factory=list)

    @classmethod
    def of_summary(cls, body: bytes, records_in: int) -> RunReport:
        """Return the report for the summary that the pipeline wrote."""
        values: dict[str, Any] = orjson.loads(body)
        streams = [StreamTotals(**stream) for stream in values.pop("streams")]
        reasons = [DeadLetterReason(**reason) for reason in values.pop("dead_letter_reasons", ())]
        return cls(records_in=records_in, streams=streams, dead_letter_reasons=reasons, **values)

    @property
    def balances(self) -> bool:
        """Whether every record read is in a listed shard or among the dead letters."""
        return self.records_in == self.records_listed + self.dead_letters

    def to_json(self) -> bytes:
        """Return the report as JSON text."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
