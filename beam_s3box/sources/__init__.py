"""Reads what never ends: topics and streams whose records have positions. Needs Beam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beam_s3box.system.lazy import lazy_names

if TYPE_CHECKING:
    from beam_s3box.sources.kafka.read import ReadKafka
    from beam_s3box.sources.kafka.source import KafkaRow

_HOMES = {"KafkaRow": "kafka.source", "ReadKafka": "kafka.read"}

__all__ = ["KafkaRow", "ReadKafka"]

__getattr__ = lazy_names(__name__, _HOMES)
