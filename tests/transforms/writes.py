"""A write of records on a runner of this machine, and its counters."""

from __future__ import annotations

import collections
import typing
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box import WriteToS3Box, WriteToS3BoxResult
from beam_s3box.stores import Store

RUNNERS = {
    "FnApiRunner": ["--runner=FnApiRunner"],
    "BundleBased": ["--runner=BundleBasedDirectRunner"],
    "multi_processing": ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}
BY_FIELD: dict[str, Any] = {"domain_field": "d", "namespace_field": "n"}


def options(runner: str = "FnApiRunner") -> PipelineOptions:
    return PipelineOptions(RUNNERS[runner])


def write(
    store: Store, elements: typing.Sequence[Any], runner: str = "FnApiRunner", **arguments: Any
) -> dict[str, int]:
    """Write the elements and return the counters."""
    arguments = {**BY_FIELD, **arguments}
    pipeline = beam.Pipeline(options=options(runner))
    result = pipeline | "Make" >> beam.Create(elements) | "Write" >> WriteToS3Box(store, **arguments)
    assert isinstance(result, WriteToS3BoxResult)
    done = pipeline.run()
    done.wait_until_finish()
    return counters(done)


def counters(done: Any) -> dict[str, int]:
    totals: collections.Counter[str] = collections.Counter()
    for metric in done.metrics().query()["counters"]:
        if metric.key.metric.namespace == "beam_s3box":
            totals[metric.key.metric.name] += metric.result
    return dict(totals)


def records(count: int, streams: int = 3) -> list[dict[str, Any]]:
    return [{"d": f"d{i % streams}", "n": "x", "i": i, "pad": "z" * 50} for i in range(count)]
