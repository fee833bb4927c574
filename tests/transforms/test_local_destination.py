"""A folder or memory of this machine is refused where workers may be elsewhere; a lost `s3://` is warned of."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner, DirectRunner
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.runners.portability.spark_runner import SparkRunner

from beam_s3box import ConfigurationError, S3Box, WriteToS3Box
from beam_s3box.stores import LocalStore, MemoryStore

DATAFLOW = ("--project=my-project-123", "--region=us-central1", "--temp_location=gs://bucket/t")

ELSEWHERE: list[tuple[Any, tuple[str, ...]]] = [
    (DataflowRunner, DATAFLOW),
    (FlinkRunner, ("--flink_master=flink:8081",)),
    (FlinkRunner, ("--environment_type=DOCKER",)),
    (FlinkRunner, ("--flink_master=flink:8081", "--environment_type=EXTERNAL", "--environment_config=pool:50000")),
    (SparkRunner, ("--spark_master_url=spark://host:7077",)),
    (PortableRunner, ()),
    (PortableRunner, ("--environment_type=EXTERNAL", "--environment_config=pool:50000")),
    (PrismRunner, ("--environment_type=DOCKER",)),
]
HERE: list[tuple[Any, tuple[str, ...]]] = [
    (None, ()),
    (DirectRunner, ()),
    (FnApiRunner, ()),
    (BundleBasedDirectRunner, ()),
    (PrismRunner, ()),
    (PrismRunner, ("--environment_type=loopback",)),
    (PortableRunner, ("--environment_type=LOOPBACK",)),
    (FlinkRunner, ()),
    (FlinkRunner, ("--flink_master=[local]",)),
    (FlinkRunner, ("--flink_master=flink:8081", "--environment_type=LOOPBACK")),
    (SparkRunner, ("--spark_master_url=local[2]",)),
]


def build(runner: Any, flags: tuple[str, ...], destination: Any) -> None:
    pipeline = beam.Pipeline(runner=runner and runner(), options=PipelineOptions(list(flags)))
    pipeline | beam.Create([{}]) | WriteToS3Box(destination, domain="d", namespace="n")


@pytest.mark.parametrize(("runner", "flags"), ELSEWHERE)
@pytest.mark.parametrize(
    "destination", ["/data/out", "out", "file:///data/out", pathlib.Path("/data/out"), "memory://m", MemoryStore("m")]
)
def test_a_local_destination_is_refused_where_workers_are_elsewhere(
    runner: Any, flags: tuple[str, ...], destination: Any
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(runner, flags, destination)
    message = str(caught.value)
    assert message.startswith(f"destination={str(destination)!r} is local, and the workers of {runner.__name__} may be")
    for way_out in ("s3://bucket/prefix", "--environment_type=LOOPBACK", "LocalStore('/folder')"):
        assert way_out in message


@pytest.mark.parametrize(("runner", "flags"), ELSEWHERE)
def test_s3_and_a_folder_that_all_workers_share_are_taken_there(runner: Any, flags: tuple[str, ...]) -> None:
    build(runner, flags, "s3://bucket/prefix")
    build(runner, flags, LocalStore("/mnt/shared"))


@pytest.mark.parametrize(("runner", "flags"), HERE)
def test_it_is_taken_where_workers_are_in_this_process(runner: Any, flags: tuple[str, ...]) -> None:
    build(runner, flags, "/data/out")


@pytest.mark.parametrize("destination", ["my-bucket/prefix", "my-bucket/", "bucket1/a/b"])
@pytest.mark.parametrize("transform", [True, False])
def test_a_lost_scheme_is_warned_of(
    transform: bool, destination: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    make(transform, destination)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            f"destination={destination!r} is taken for a folder, {os.path.abspath(destination)}, which does not exist "
            f"yet: for the bucket write 's3://{destination}', for the folder './{destination}'",
        )
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "destination", ["s3://my-bucket/prefix", "./my-bucket/prefix", "/a/b", "there/b", "out", "~/a", "A/b", "../x/y"]
)
@pytest.mark.parametrize("transform", [True, False])
def test_what_is_clear_is_not(
    transform: bool, destination: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    make(transform, destination)
    assert caplog.records == []


def make(transform: bool, destination: str) -> None:
    if transform:
        WriteToS3Box(destination, domain="d", namespace="n")
    else:
        S3Box(destination)
