"""The guarantees, on a real S3 server: what is asked of it, and what is left when it fails."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import pathlib
import random
import subprocess
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2

from beam_s3box import Manifests, S3Settings, StreamLimits, WriteToS3Box
from beam_s3box.jobs.read.files import ReadRecords
from beam_s3box.shards.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store, open_store
from tests.readback import read_back, strict_gunzip
from tests.s3_proxy import Fault, Proxy, Request, s3_proxy
from tools.seaweedfs import Server

QUICK = S3Settings(max_attempts=3, region="us-east-1")


@pytest.fixture
def proxy(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)
    with s3_proxy(s3_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def prefix(s3_server: Server) -> str:
    return f"s3://{s3_server.bucket}/{new_token(12)}"


@pytest.fixture
def store(s3_server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> Store:
    return open_store(prefix, S3Settings(endpoint_url=s3_server.endpoint_url, region="us-east-1"))


def records(count: int) -> list[dict[str, Any]]:
    return [{"d": f"d{i % 3}", "n": "x", "i": i, "pad": f"{i * 7919:x}" * 20} for i in range(count)]


def write(proxy: Proxy, destination: str, elements: list[Any], **arguments: Any) -> None:
    options = PipelineOptions(["--runner=FnApiRunner", f"--s3_endpoint_url={proxy.endpoint_url}"])
    # requests of the check of the destination would be counted as well
    arguments = {"check_destination": False, "s3": QUICK, "limits": StreamLimits(max_raw_bytes=20_000), **arguments}
    with beam.Pipeline(options=options) as pipeline:
        made = pipeline | beam.Create(elements) | beam.Map(inflate)
        made | WriteToS3Box(destination, domain_field="d", namespace_field="n", **arguments)


def inflate(record: Any) -> Any:
    """Return the record with as much noise as it asks for: Beam's Create would take seconds to encode it."""
    if not isinstance(record, dict) or "noise" not in record:
        return record
    return {**record, "noise": random.Random(record["i"]).randbytes(record["noise"] // 2).hex()}


def large(count: int) -> list[dict[str, Any]]:
    return [{"d": "d", "n": "n", "i": i, "noise": 4 * MiB} for i in range(count)]


def test_one_put_a_shard_and_no_list_head_or_copy(proxy: Proxy, prefix: str, store: Store) -> None:
    write(proxy, prefix, [*records(2_000), "no record"], run_id="counted", manifests=Manifests(count=2))
    found = read_back(store)
    assert len(found.shards) > 10
    name = prefix.rpartition("/")[2]
    assert proxy.count("PutObject", f"{name}/data/") == len(found.shards)
    assert proxy.count("PutObject", f"{name}/manifests/") == len(found.manifests) == 6
    assert proxy.count("PutObject", f"{name}/dead-letters/") == 1
    assert proxy.count("PutObject", f"{name}/runs/") == 3, "the claim, the list of shards and the commit"
    assert proxy.operations() <= {"PutObject", "GetObject"}
    assert proxy.count("GetObject") == 2, "the record: may it be read, as the id was given; and before the commit"
    assert sorted(record["i"] for record in found.all_records()) == list(range(2_000))


def test_readers_agree_on_every_shard(proxy: Proxy, prefix: str, store: Store, tmp_path: pathlib.Path) -> None:
    write(proxy, prefix, records(3_000), limits=StreamLimits(max_object_bytes=9_000))
    for key in read_back(store).shards:
        body = store.get(key)
        assert len(body) <= 9_000
        path = tmp_path / "shard.gz"
        path.write_bytes(body)
        subprocess.run(["gzip", "-t", path], check=True)
        assert subprocess.run(["gzip", "-dc", path], check=True, capture_output=True).stdout == strict_gunzip(body)
        assert body[4:8] == b"\0\0\0\0", "no time in the header"


def test_throttling_that_ends_within_the_retries_is_a_success(proxy: Proxy, prefix: str, store: Store) -> None:
    proxy.rule = lambda request: (
        Fault(503, "SlowDown") if request.operation == "PutObject" and request.number % 3 else None
    )
    write(proxy, prefix, records(600), s3=S3Settings(max_attempts=8, region="us-east-1"))
    found = read_back(store)
    assert len(found.all_records()) == 600
    assert found.unlisted == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(503, "SlowDown"), r"PutObject s3://.*/data/.*3 attempts.*SlowDown"),
        (Fault(403, "AccessDenied"), r"PutObject s3://.*/data/.*1 attempt\b.*AccessDenied"),
        (Fault(404, "NoSuchBucket"), r"s3://.*NoSuchBucket"),
    ],
)
def test_a_refusal_in_the_middle_fails_and_lists_nothing(
    proxy: Proxy, prefix: str, store: Store, fault: Fault, message: str
) -> None:
    proxy.rule = lambda request: fault if request.operation == "PutObject" and request.number >= 5 else None
    with pytest.raises(Exception, match=message):
        write(proxy, prefix, records(2_000), limits=StreamLimits(max_raw_bytes=5_000))
    found = read_back(store)
    assert found.manifests == {}
    assert len(found.shards) == 4, "the first write is the claim"
    for key in found.shards:
        strict_gunzip(store.get(key))


def test_a_refused_manifest_fails(proxy: Proxy, prefix: str, store: Store) -> None:
    proxy.rule = lambda request: Fault(403, "AccessDenied") if "/manifests/" in request.key else None
    with pytest.raises(Exception, match=r"PutObject s3://.*/manifests/.*AccessDenied"):
        write(proxy, prefix, records(100))
    assert read_back(store).manifests == {}


def test_refused_dead_letters_fail(proxy: Proxy, prefix: str, store: Store) -> None:
    proxy.rule = lambda request: Fault(403, "AccessDenied") if "/dead-letters/" in request.key else None
    with pytest.raises(Exception, match=r"PutObject s3://.*/dead-letters/.*AccessDenied"):
        write(proxy, prefix, [*records(10), "no record"])


def test_a_lost_reply_is_no_second_shard(proxy: Proxy, prefix: str, store: Store) -> None:
    def lose_each_first_reply(request: Request) -> Fault | None:
        first = request.operation == "PutObject" and proxy.count("PutObject", request.key) == 1
        return Fault(0, "", after=True) if first else None

    proxy.rule = lose_each_first_reply
    write(proxy, prefix, records(600))
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(600))
    assert found.unlisted == []
    assert proxy.count("HeadObject") >= len(found.shards)


def test_large_shards_go_in_parallel_parts(proxy: Proxy, prefix: str, store: Store) -> None:
    settings = S3Settings(part_bytes=5 * MiB, multipart_bytes=6 * MiB, region="us-east-1")
    write(proxy, prefix, large(7), s3=settings, limits=StreamLimits(), max_record_bytes=16 * MiB, long_values="keep")
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(7))
    assert proxy.count("CreateMultipartUpload") == proxy.count("CompleteMultipartUpload") == 1
    assert proxy.count("UploadPart") >= 2
    assert proxy.operations() <= {
        "PutObject", "GetObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload",
    }  # fmt: skip


def test_a_failed_part_aborts_the_upload_and_fails(proxy: Proxy, prefix: str, store: Store) -> None:
    proxy.rule = lambda request: (
        Fault(403, "AccessDenied") if request.operation == "UploadPart" and request.number else None
    )
    settings = S3Settings(part_bytes=5 * MiB, multipart_bytes=6 * MiB, region="us-east-1")
    with pytest.raises(Exception, match=r"UploadPart s3://.*AccessDenied"):
        write(
            proxy, prefix, large(6), s3=settings, limits=StreamLimits(), max_record_bytes=16 * MiB, long_values="keep"
        )
    assert proxy.count("AbortMultipartUpload") == 1
    assert proxy.count("CompleteMultipartUpload") == 0
    assert read_back(store).shards == []


def test_two_identical_files_count_twice_and_one_file_named_twice_once(
    proxy: Proxy, prefix: str, store: Store, tmp_path: pathlib.Path
) -> None:
    text = "".join(json.dumps(record) + "\n" for record in records(1_000))
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    options = PipelineOptions(["--runner=FnApiRunner", f"--s3_endpoint_url={proxy.endpoint_url}"])
    with beam.Pipeline(options=options) as pipeline:
        lines = pipeline | ReadRecords([str(tmp_path / "*.jsonl*"), str(tmp_path / "a.jsonl")])
        lines | WriteToS3Box(
            prefix, domain_field="d", namespace_field="n", s3=QUICK, limits=StreamLimits(max_records=100)
        )
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == sorted([*range(1_000), *range(1_000)])
    assert len(found.shards) == len({url for urls in found.manifests.values() for url in urls})


def test_one_large_stream_is_cut_by_several_workers_and_only_remainders_are_shuffled(
    proxy: Proxy, prefix: str, store: Store, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for i in range(160_000):
            file.write(json.dumps({"d": "d", "n": "n", "i": i, "pad": f"{i * 7919:x}" * 20}) + "\n")
    options = PipelineOptions(
        ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2",
         f"--s3_endpoint_url={proxy.endpoint_url}"]
    )  # fmt: skip
    pipeline = beam.Pipeline(options=options)
    lines = pipeline | ReadRecords([str(path)])
    lines | WriteToS3Box(
        prefix, domain_field="d", namespace_field="n", s3=QUICK, limits=StreamLimits(max_object_bytes=200_000)
    )
    done = pipeline.run()
    done.wait_until_finish()
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(160_000))
    origins = {key.rpartition("/")[2].split("-")[2] for key in found.shards}
    assert len(origins) >= 2, "only one bundle cut shards"
    counted = {metric.key.metric.name: metric.result for metric in done.metrics().query()["counters"]}
    total = sum(info.size for info in store.list("data/"))
    assert counted.get("shuffled_bytes", 0) <= len(origins) * 100_000 < total / 4, (
        "more than remainders went through the shuffle"
    )


def test_keys_never_reach_the_graph(s3_server: Server, prefix: str) -> None:
    secret = "a-secret-that-must-not-travel"
    transform = WriteToS3Box(prefix, domain="d", namespace="n")
    options = PipelineOptions(
        ["--runner=FnApiRunner", "--s3_access_key_id=AKIDEXAMPLE0000000", f"--s3_secret_access_key={secret}"]
    )
    pipeline = beam.Pipeline(options=options)
    pipeline | beam.Create([{"i": 1}]) | transform
    graph = pipeline.to_runner_api()
    assert secret.encode() not in graph.SerializeToString()
    # Beam packs its functions: look inside them, too
    for step in graph.components.transforms.values():
        if step.spec.urn == "beam:transform:pardo:v1":
            assert secret not in str(pickled_of(step.spec.payload))


def pickled_of(payload: bytes) -> bytes:
    packed = beam_runner_api_pb2.ParDoPayload.FromString(payload).do_fn.payload
    return bz2.decompress(base64.b64decode(packed)) if packed[:4] == b"Qlpo" else packed


def test_keys_of_beam_options_are_used(s3_server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    arguments = [
        f"--s3_endpoint_url={s3_server.endpoint_url}", "--s3_region_name=us-east-1",
        f"--s3_access_key_id={s3_server.writer.access_key}", f"--s3_secret_access_key={s3_server.writer.secret_key}",
    ]  # fmt: skip
    for runner in (["--runner=FnApiRunner"], ["--runner=DirectRunner", "--direct_running_mode=multi_processing"]):
        with beam.Pipeline(options=PipelineOptions(arguments + runner)) as pipeline:
            pipeline | beam.Create([{"i": 1}]) | WriteToS3Box(prefix, domain="d", namespace="n")
    client = s3_server.client()
    found = client.list_objects_v2(Bucket=s3_server.bucket, Prefix=f"{prefix.rpartition('/')[2]}/manifests/")
    assert found["KeyCount"] == 2
