"""A process that ran WriteToS3Box forks, and the child runs it, too: each process creates its threads and clients."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, S3Store
from tests.readback import read_back
from tools.seaweedfs import REGION, Server

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, sys
import apache_beam as beam
from beam_s3box import S3Settings, WriteToS3Box
url, endpoint = sys.argv[1:]
def run(first):
    settings = S3Settings(endpoint_url=endpoint, region="us-east-1")
    records = [{"i": i} for i in range(first, first + 50)]
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | beam.Create(records) | WriteToS3Box(url, domain="d", namespace="n", s3=settings)
run(0)
for first in (50, 100):
    child = os.fork()
    if not child:
        code = 1
        try:
            run(first)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
run(150)
"""


def test_a_child_writes_as_its_parent_does(s3_server: Server) -> None:
    url = f"s3://{s3_server.bucket}/{new_token(12)}"
    keys = {"AWS_ACCESS_KEY_ID": s3_server.writer.access_key, "AWS_SECRET_ACCESS_KEY": s3_server.writer.secret_key}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, s3_server.endpoint_url],
        cwd=ROOT,
        env={**os.environ, **keys},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    store = S3Store(url, S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION), s3_server.writer)
    assert sorted(record["i"] for record in read_back(store).all_records()) == list(range(200))
