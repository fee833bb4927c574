"""What a write emits reaches steps that only take batches, on engines too; tests/transforms/test_outputs.py has Beam's own."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.runners.feed import ROOT
from tests.runners.test_streams import fresh_store, s3_arguments
from tests.transforms.batch_steps import BAD, RECORDS, STREAMS, noted
from tools.flink.job_server import FlinkJobs
from tools.prism import Prism
from tools.seaweedfs import Server


@pytest.fixture(params=["prism", "flink_local"])
def local_engine(request: pytest.FixtureRequest) -> Prism | FlinkJobs:
    found: Prism | FlinkJobs = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("streaming", [False, True], ids=["bounded", "unbounded"])
def test_each_output_reaches_a_step_that_takes_batches(
    streaming: bool, local_engine: Prism | FlinkJobs, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    arguments = [*local_engine.options(streaming=streaming), *s3_arguments(s3_server)]
    store = fresh_store(s3_server)
    command = [sys.executable, "-m", "tests.transforms.batch_steps", str(tmp_path), store.root, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4_000:]
    found, keys = noted(tmp_path), [info.key for info in store.list()]
    assert found["shards"] == sum(key.startswith("data/") for key in keys) >= RECORDS // 5
    assert found["manifests"] == sum(key.startswith("manifests/") for key in keys) >= STREAMS
    assert found["dead_letters"] == BAD
    assert found == noted(tmp_path, "every_")
