"""The run is found in keys that a template makes, and in no others."""

from __future__ import annotations

import pytest

from beam_s3box.records.streams import Stream
from beam_s3box.shards.key_patterns import ShardKeys
from beam_s3box.shards.keys import DEFAULT_DATA_KEY, Layout

ORIGIN, DIGEST = "0123456789ab", "fedcba987654"
TEMPLATES = [
    DEFAULT_DATA_KEY,
    "lake/{domain}/{namespace}/{window}{sequence}-{origin}-{digest}-{run_id}{extension}",
    "d/{run_id}/{domain}/{namespace}/{window}{run_id}_{origin}_{sequence:8d}.{digest}{extension}",
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("run_id", ["20261122T101500Z-1f3a9c2b", "run", "a.b-c_d-0123456789ab-00001"])
@pytest.mark.parametrize("window", ["", "20261122T101500Z-20261122T101600Z"])
@pytest.mark.parametrize("extension", [".json.gz", ".avro"])
def test_what_a_layout_makes_is_found(template: str, run_id: str, window: str, extension: str) -> None:
    layout = Layout(run_id, data_key=template)
    key = layout.shard(Stream("wéb", "a/b"), window, ORIGIN, 1, DIGEST, extension)
    keys = ShardKeys(template)
    assert keys.run_id(key) == run_id
    assert key.startswith(keys.folder)


@pytest.mark.parametrize(
    "key",
    [
        f"data/d/n/run-{ORIGIN}-00001-{DIGEST}.json.gz.bak",
        f"data/d/n/run-{ORIGIN}-00001-{DIGEST}.json",
        f"data/d/n/run-{ORIGIN}-00001-{DIGEST[1:]}.json.gz",
        f"data/d/n/run-{ORIGIN.upper()}-00001-{DIGEST}.json.gz",
        f"data/d/n/w/v/run-{ORIGIN}-00001-{DIGEST}.json.gz",
        f"data/d/run-{ORIGIN}-00001-{DIGEST}.json.gz",
        f"other/d/n/run-{ORIGIN}-00001-{DIGEST}.json.gz",
        f"data/d/n/run-{ORIGIN}-00001-{DIGEST}.json.gz\n",
        f"data/d/n/-{ORIGIN}-00001-{DIGEST}.json.gz",
        "data/report.csv",
        "",
    ],
)
def test_other_keys_have_no_run(key: str) -> None:
    assert ShardKeys(DEFAULT_DATA_KEY).run_id(key) is None
