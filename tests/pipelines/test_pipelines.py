"""The short pipelines do what they say, on real servers."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from beam_s3box import S3Settings
from beam_s3box.stores import open_store
from beam_s3box.stores.s3 import S3Store
from redshift_stand_in import RedshiftStandIn
from tests.readback import read_back
from tests.redshift.load.conftest import Warehouse, redshift, warehouse
from tools.seaweedfs import REGION, Server

__all__ = ["redshift", "warehouse"]

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def environment(s3_server: Server) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": s3_server.writer.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.writer.secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": s3_server.endpoint_url,
    }


@pytest.fixture
def store(s3_server: Server, request: pytest.FixtureRequest) -> S3Store:
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    found = open_store(f"s3://{s3_server.bucket}/{request.node.name}", settings, s3_server.admin)
    assert isinstance(found, S3Store)
    return found


def run(name: str, *arguments: str, env: dict[str, str], input: bytes | None = None) -> str:
    command = [sys.executable, "-m", f"pipelines.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, input=input, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_csv_to_redshift(
    warehouse: Warehouse, store: S3Store, environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    server: RedshiftStandIn = warehouse.redshift
    (tmp_path / "a.csv").write_text("id,item\n1,pen\n2,ink\n")
    (tmp_path / "b.csv").write_text("id,item\n3,nib\n")
    run(
        "csv_to_redshift",
        f"--input={tmp_path}/*.csv",
        f"--destination={store.root}",
        "--table=public.orders",
        f"--redshift=redshift://{server.user}@{server.host}:{server.port}/{server.database}?ssl=false",
        f"--iam_role={warehouse.role}",
        f"--s3_endpoint_url={environment['AWS_ENDPOINT_URL_S3']}",
        f"--s3_region_name={REGION}",
        env={**environment, "REDSHIFT_PASSWORD": server.password},
    )
    rows = warehouse.rows("SELECT id, item FROM public.orders ORDER BY id")
    assert [tuple(map(str, row)) for row in rows] == [("1", "pen"), ("2", "ink"), ("3", "nib")]


def test_box_script(store: S3Store, environment: dict[str, str]) -> None:
    lines = b"".join(b'{"i":%d}\n' % i for i in range(1000))
    said = run("box_script", store.root, env=environment, input=lines)
    assert re.fullmatch(r"1000 records; COPY loads manifests/\S+_0\.manifest\n", said)
    assert sorted(record["i"] for record in read_back(store).all_records()) == list(range(1000))


@pytest.fixture
def service(store: S3Store, environment: dict[str, str], tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pipelines.web_service", store.root, str(tmp_path / "buffers"), "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_web_service(service: subprocess.Popen[str], store: S3Store) -> None:
    assert service.stderr is not None
    port = re.search(r"port (\d+)", service.stderr.readline())
    assert port is not None

    def post(path: str, body: bytes) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}{path}", body) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            return exc.code

    assert [post("/web/clicks", b'{"i":%d}' % i) for i in range(10)] == [204] * 10
    assert post("/app/views", b'{"i":10}') == 204
    assert post("/web/clicks", b"[1]") == 400
    service.send_signal(signal.SIGTERM)
    assert service.wait(120) == 0, service.stderr.read()
    found = [
        json.loads(line)
        for info in store.list()
        if info.key.endswith(".gz")
        for line in gzip.decompress(store.get(info.key)).splitlines()
    ]
    assert sorted(record["i"] for record in found) == list(range(11))
