"""Run moto, an AWS for tests, on this machine: its SQS, and its S3, which sends events to it.

`python -m tools.moto` runs one until Ctrl-C and prints its URL.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config

from tools.processes import accepts, free_ports, running
from tools.seaweedfs import REGION

KEYS = {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto"}
"""Any keys would do."""


@dataclasses.dataclass(frozen=True)
class Moto:
    """A server that answers.

    Attributes:
      endpoint_url: of all its services.
    """

    endpoint_url: str

    def client(self, service: str) -> Any:
        """Return a client of a service."""
        return client_at(service, self.endpoint_url)


def client_at(service: str, endpoint_url: str) -> Any:
    """Return a client of a service at an endpoint of this machine."""
    session: Any = boto3.Session(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
    config = botocore.config.Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=endpoint_url, config=config)


@contextlib.contextmanager
def moto() -> Iterator[Moto]:
    """Start a server, and kill it at the end, however that comes.

    Raises:
      RuntimeError: it did not come up; the message shows its last lines.
    """
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="moto-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "moto.server", "--host=127.0.0.1", f"--port={port}"]
        with running("moto", command, pathlib.Path(folder, "moto.log"), [pathlib.Path(folder)], KEYS) as server:
            server.wait_until(functools.partial(accepts, port))
            yield Moto(f"http://127.0.0.1:{port}")


def main() -> None:
    """Run a server until Ctrl-C or SIGTERM."""
    # as an exception, so that the server is stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), moto() as server:
        print(server.endpoint_url, flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
