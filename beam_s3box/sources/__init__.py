"""Reads what never ends: topics and streams whose records have positions. Needs Beam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beam_s3box.system.lazy import lazy_names

if TYPE_CHECKING:
    from beam_s3box.sources.kafka.read import ReadKafka
    from beam_s3box.sources.kafka.source import KafkaRow
    from beam_s3box.sources.kinesis.read import ReadKinesis
    from beam_s3box.sources.kinesis.source import KinesisRow

_HOMES = {
    "KafkaRow": "kafka.source",
    "KinesisRow": "kinesis.source",
    "ReadKafka": "kafka.read",
    "ReadKinesis": "kinesis.read",
}

__all__ = ["KafkaRow", "KinesisRow", "ReadKafka", "ReadKinesis"]

__getattr__ = lazy_names(__name__, _HOMES)
