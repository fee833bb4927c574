"""Tuning: the values that it accepts, and their effect on a pipeline."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box import ConfigurationError, Tuning
from beam_s3box.engine.shard_builder import DEFAULT_MIN_FILL


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"partial_shards": "pack"}, "partial_shards='pack' must be 'auto', 'shuffle' or 'seal'"),
        ({"packing": "timer"}, "packing='timer' must be 'auto', 'group' or 'stateful'"),
        ({"packing": None}, "packing=None must be"),
        ({"packing": ["group"]}, r"packing=\['group'\] must be"),
        ({"upload_concurrency": 0}, "upload_concurrency=0 must be a whole number from 1 to 256"),
        ({"upload_concurrency": True}, "upload_concurrency=True"),
        ({"clock": 12.5}, r"clock=12\.5 must be a function without arguments"),
    ],
)
def test_values_that_can_not_work_are_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Tuning(**arguments)


@pytest.mark.parametrize(
    ("partial_shards", "flags", "stateful", "expected"),
    [
        ("auto", [], False, 0.0),
        ("auto", ["--direct_num_workers=2"], False, DEFAULT_MIN_FILL),
        ("auto", ["--direct_running_mode=multi_processing"], False, DEFAULT_MIN_FILL),
        ("shuffle", [], False, DEFAULT_MIN_FILL),
        ("seal", ["--direct_num_workers=2"], False, 0.0),
        ("seal", [], True, 2.0),
    ],
)
def test_how_full_a_shard_is_that_a_bundle_seals(
    partial_shards: Any, flags: list[str], stateful: bool, expected: float
) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *flags]))
    assert Tuning(partial_shards=partial_shards).min_fill_to_seal(pipeline, stateful=stateful) == expected
