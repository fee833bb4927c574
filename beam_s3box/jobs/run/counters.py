"""What a pipeline counted."""

from __future__ import annotations

from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.portability.portable_runner import PipelineResult as PortableResult
from apache_beam.runners.runner import PipelineResult

from beam_s3box.metrics import NAMESPACE, RECORDS_IN


def records_in_of(result: PipelineResult) -> int:
    """Return how many records the finished pipeline read."""
    return counted(result).get(RECORDS_IN, 0)


def counted(result: PipelineResult) -> dict[str, int]:
    """Return the counters of a pipeline, by name, summed over its steps.

    What was committed, so that a retried bundle counts once; what was attempted where a runner knows no more.
    """
    if isinstance(result, PortableResult):
        result._metrics = None  # it would answer for ever what it answered first
    totals: dict[str, int] = {}
    for counter in result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        value = counter.attempted if counter.committed is None else counter.committed
        name = counter.key.metric.name
        totals[name] = totals.get(name, 0) + (value or 0)
    return totals
