"""A destination that can't be written fails the pipeline at once, before its source has been read."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box import S3Settings, WriteToS3Box
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore, S3Store
from beam_s3box.stores.s3_check import CHECK_KEY
from beam_s3box.transforms.check_destination import CheckDestination
from tests.readback import read_back
from tests.transforms.plans import write_plan
from tools.seaweedfs import REGION, Identity, Server

RUNNERS = ["FnApiRunner", "BundleBasedDirectRunner"]
SECONDS = 90.0
"""Far more than a check takes, far less than the 120 seconds for which a write is tried again."""


class Source(beam.DoFn):
    """A source that notes what was read."""

    read: ClassVar[list[int]] = []

    def process(self, element: bytes) -> Iterator[dict[str, int]]:
        for number in range(10):
            self.read.append(number)
            yield {"i": number}


@pytest.fixture(autouse=True)
def nothing_read() -> None:
    Source.read.clear()


def run(destination: Any, *flags: str, runner: str = "FnApiRunner", **arguments: Any) -> None:
    with beam.Pipeline(options=PipelineOptions([f"--runner={runner}", *flags])) as pipeline:
        rows = pipeline | beam.Impulse() | beam.ParDo(Source())
        rows | WriteToS3Box(destination, domain="d", namespace="n", **arguments)


def keys(server: Server, identity: Identity) -> list[str]:
    return [
        f"--s3_endpoint_url={server.endpoint_url}",
        f"--s3_region_name={REGION}",
        f"--s3_access_key_id={identity.access_key}",
        f"--s3_secret_access_key={identity.secret_key}",
    ]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_wrong_key_fails_before_the_source_is_read(s3_server: Server, runner: str) -> None:
    began = time.monotonic()
    with pytest.raises(Exception, match="AccessDenied"):
        run(f"s3://{s3_server.bucket}/{new_token(12)}", *keys(s3_server, s3_server.reader), runner=runner)
    assert time.monotonic() - began < SECONDS
    # the other runner fuses no steps: the source is read at the same time
    assert Source.read == [] or runner == "BundleBasedDirectRunner"


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_endpoint_that_is_dead_fails_within_seconds(runner: str) -> None:
    settings = S3Settings(REGION, "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
        run("s3://bucket/prefix", "--s3_access_key_id=a", "--s3_secret_access_key=b", runner=runner, s3=settings)
    assert time.monotonic() - began < SECONDS
    # the other runner fuses no steps: the source is read at the same time
    assert Source.read == [] or runner == "BundleBasedDirectRunner"


def test_it_fails_also_if_no_record_ever_arrives() -> None:
    store = Unwritable(new_token(12))
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    nothing = pipeline | beam.Create([])
    nothing | WriteToS3Box(store, domain="d", namespace="n")
    with pytest.raises(Exception, match="no write"):
        pipeline.run()


def test_the_step_needs_neither_records_nor_other_steps() -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    pipeline | CheckDestination(write_plan(Unwritable(new_token(12))))
    with pytest.raises(Exception, match="no write"):
        pipeline.run()


class Unwritable(MemoryStore):
    """A store whose check fails, and counts."""

    checks: ClassVar[list[str]] = []

    def check_writable(self) -> None:
        self.checks.append(self.root)
        raise PermissionError("no write")


class Checked(MemoryStore):
    """A store that counts its checks."""

    checks: ClassVar[list[str]] = []

    def check_writable(self) -> None:
        self.checks.append(self.root)


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_process_checks_once_for_each_run(runner: str) -> None:
    store = Checked(new_token(12))
    for number in (1, 2):
        run(store, runner=runner)
        assert Checked.checks.count(store.root) == number
    assert len(read_back(store).all_records()) == 20


def test_who_has_checked_may_leave_it_out() -> None:
    store = Unwritable(new_token(12))
    run(store, check_destination=False)
    assert store.root not in Unwritable.checks
    assert len(read_back(store).all_records()) == 10


def test_nothing_of_the_check_stays(s3_server: Server, tmp_path: pathlib.Path) -> None:
    url = f"s3://{s3_server.bucket}/{new_token(12)}"
    run(url, *keys(s3_server, s3_server.admin))
    store = S3Store(url, S3Settings(REGION, s3_server.endpoint_url), s3_server.admin)
    assert CHECK_KEY not in {info.key for info in store.list()}
    run(tmp_path / "box")
    assert sorted(path.name for path in (tmp_path / "box").iterdir()) == ["data", "manifests", "runs"]
