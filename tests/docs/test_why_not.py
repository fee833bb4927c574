"""What the pages say of Beam's own sink is so, with Beam's own code and a real S3 server that refuses to copy."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.io import fileio
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box import S3Settings, WriteToS3Box
from beam_s3box.errors import StoreError
from beam_s3box.stores import open_store
from tests.s3_misbehaviour import says
from tests.s3_proxy import Proxy, s3_proxy
from tools.seaweedfs import REGION, Server


def options_for(proxy: Proxy, server: Server) -> PipelineOptions:
    keys = server.writer
    return PipelineOptions(
        [
            "--runner=FnApiRunner",
            f"--s3_endpoint_url={proxy.endpoint_url}",
            f"--s3_region_name={REGION}",
            f"--s3_access_key_id={keys.access_key}",
            f"--s3_secret_access_key={keys.secret_key}",
        ]
    )


def keys_below(server: Server, prefix: str) -> list[str]:
    settings = S3Settings(endpoint_url=server.endpoint_url, region=REGION)
    return [info.key for info in open_store(f"s3://{server.bucket}/{prefix}", settings, server.admin).list()]


def test_beams_sink_succeeds_without_files_where_s3_refuses_to_copy(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with s3_proxy(s3_server.endpoint_url) as proxy:
        proxy.rule = lambda request: says(503, "SlowDown") if request.operation == "CopyObject" else None
        pipeline = beam.Pipeline(options=options_for(proxy, s3_server))
        lines = pipeline | beam.Create(["a", "b"])
        lines | fileio.WriteToFiles(f"s3://{s3_server.bucket}/why-not/fileio/", sink=lambda _: fileio.TextSink())
        assert pipeline.run().wait_until_finish() == "DONE"
        assert proxy.count("CopyObject") > 0
    assert [key for key in keys_below(s3_server, "why-not/fileio") if not key.startswith(".temp")] == []


def test_beams_sink_makes_seven_requests_for_an_object(s3_server: Server) -> None:
    with s3_proxy(s3_server.endpoint_url) as proxy:
        with beam.Pipeline(options=options_for(proxy, s3_server)) as pipeline:
            lines = pipeline | beam.Create(["a"])
            lines | fileio.WriteToFiles(f"s3://{s3_server.bucket}/why-not/one/", sink=lambda _: fileio.TextSink())
        assert proxy.count("CopyObject") == 1
        assert 6 <= len(proxy.requests) <= 8, [request.operation for request in proxy.requests]


def test_this_write_fails_where_s3_refuses_to_write(s3_server: Server) -> None:
    settings = S3Settings(retry_seconds=0.1)
    with s3_proxy(s3_server.endpoint_url) as proxy:
        proxy.rule = lambda request: says(503, "SlowDown") if "/data/" in request.key else None
        pipeline = beam.Pipeline(options=options_for(proxy, s3_server))
        destination = f"s3://{s3_server.bucket}/why-not/s3box"
        pipeline | beam.Create(['{"a":1}']) | WriteToS3Box(destination, domain="d", namespace="n", s3=settings)
        with pytest.raises(StoreError, match="SlowDown"):
            pipeline.run().wait_until_finish()
    assert [key for key in keys_below(s3_server, "why-not/s3box") if key.endswith(".manifest")] == []
