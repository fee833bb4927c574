"""`python -m redshift_stand_in`, as a shell runs it: what it prints, how it ends, and invalid arguments."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from redshift_connector.error import Error

import redshift_stand_in
from redshift_stand_in import ROLE, RedshiftStandIn

ROOT = pathlib.Path(redshift_stand_in.__file__).parents[1]
COMMAND = [sys.executable, "-m", "redshift_stand_in"]


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """The folder for the command's data. Its path is short, as the path of a Unix socket must be."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="rs-test-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def environment(s3_server: Any, folder: pathlib.Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder),
        "AWS_ENDPOINT_URL_S3": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.reader.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.reader.secret_key,
    }


@contextlib.contextmanager
def started(environment: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, *options], env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            # without effect on one that has ended; else its watcher stops what it started
            process.kill()


def printed(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines up to the last one, which says how to stop."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if "stops the stand-in" in line:
            break
    return lines


def exported(lines: list[str]) -> dict[str, str]:
    pairs = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
    return dict(pair.split("=", 1) for pair in pairs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(
    environment: dict[str, str], folder: pathlib.Path, s3_server: Any, files: Any, number: signal.Signals
) -> None:
    url = files.manifest(files.put("1.gz", gzip.compress(b'{"a": 1}')))
    with started(environment) as process:
        lines = printed(process)
        found = exported(lines)
        with psycopg.connect(found["REDSHIFT_URL"]) as connection:
            connection.execute("CREATE TABLE t (a integer)")
            connection.execute(f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' MANIFEST GZIP FORMAT AS JSON 'auto'")
            assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
        assert found["REDSHIFT_URL"] == (
            f"postgresql://{found['REDSHIFT_USER']}:{found['REDSHIFT_PASSWORD']}@{found['REDSHIFT_HOST']}"
            f":{found['REDSHIFT_PORT']}/{found['REDSHIFT_DATABASE']}"
        )
        process.send_signal(number)
        rest, errors = process.communicate()
    assert (process.returncode, rest, errors) == (0, "", "")
    assert (
        f"# COPY reads s3:// from {s3_server.endpoint_url} (us-east-1) with the access key reader-access-key;" in lines
    )
    assert s3_server.reader.secret_key not in "".join(lines)
    assert list(folder.glob("rs-*")) == []
    for port in (int(found["REDSHIFT_PORT"]), int(found["AWS_ENDPOINT_URL_REDSHIFT_DATA"].rpartition(":")[2])):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_signal_while_it_starts_leaves_nothing(environment: dict[str, str], folder: pathlib.Path) -> None:
    with started(environment) as process:
        wait_for(folder, "rs-*/data", process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert list(folder.glob("rs-*")) == []


def test_a_terminal_interrupts_what_it_starts_too(environment: dict[str, str], folder: pathlib.Path) -> None:
    with started(environment) as process:
        # initdb has PostgreSQL fill its first database
        wait_for(folder, "rs-*/data/base/1/*", process)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert list(folder.glob("rs-*")) == []


def wait_for(folder: pathlib.Path, pattern: str, process: subprocess.Popen[str]) -> None:
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_ports_and_roles_are_as_asked_for(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [server.getsockname()[1] for server in (first, second)]
    role = "arn:aws:iam::123456789012:role/mine"
    options = [f"--port={ports[0]}", f"--data-api-port={ports[1]}", f"--role={role}", "--region=eu-west-1"]
    with started(environment, *options) as process:
        lines = printed(process)
        found = exported(lines)
        assert found["REDSHIFT_PORT"] == str(ports[0])
        assert found["AWS_ENDPOINT_URL_REDSHIFT_DATA"] == f"http://127.0.0.1:{ports[1]}"
        assert f"# roles that it may name: {role}" in lines
        assert "(eu-west-1)" in "".join(lines)
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("option", ["--port", "--data-api-port"])
def test_a_port_that_is_taken(environment: dict[str, str], folder: pathlib.Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, f"{option}={port}"], env=environment, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (1, "")
    words = f"{option} {port} is in use by another program: choose another, or 0 for any free port\n"
    assert done.stderr == f"python -m redshift_stand_in: {words}"
    assert list(folder.glob("rs-*")) == []


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("AWS_ENDPOINT_URL_S3", "--s3-endpoint-url, or AWS_ENDPOINT_URL_S3"),
        ("AWS_ACCESS_KEY_ID", "set AWS_ACCESS_KEY_ID: "),
        ("AWS_SECRET_ACCESS_KEY", "set AWS_SECRET_ACCESS_KEY: "),
    ],
)
def test_what_it_can_not_do_without(environment: dict[str, str], missing: str, words: str) -> None:
    del environment[missing]
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"s3_endpoint": "127.0.0.1:5000"}, r"s3_endpoint='127.0.0.1:5000'"),
        ({"access_key": ""}, "access_key= and secret_key="),
        ({"port": 65_536}, "port=65536"),
        ({"data_api_port": -1}, "data_api_port=-1"),
    ],
)
def test_arguments_are_checked_before_anything_starts(changes: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"s3_endpoint": "http://127.0.0.1:5000", "access_key": "a", "secret_key": "b"}
    with pytest.raises(ValueError, match=words):
        RedshiftStandIn(**{**arguments, **changes})


def test_a_session_token_goes_to_s3() -> None:
    given: list[str | None] = []

    class S3(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.append(self.headers.get("X-Amz-Security-Token"))
            self.send_error(403)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), S3) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        with RedshiftStandIn(url, "a", "b", session_token="temporary") as redshift, redshift.connect() as connection:
            connection.cursor().execute("CREATE TABLE t (a integer)")
            with pytest.raises(Error, match="S3ServiceException"):
                connection.cursor().execute(f"COPY t FROM 's3://box/x' IAM_ROLE '{ROLE}' FORMAT AS JSON 'auto'")
        server.shutdown()
        thread.join()
    assert given[0] == "temporary"
