"""What the tests of the command share: it runs in this process, or in one of its own that can be interrupted."""

from __future__ import annotations

import io
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest

from beam_s3box.cli.main import main
from tools.seaweedfs import REGION, Server

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 180.0


class Ended(NamedTuple):
    """A command that ended."""

    code: int
    out: str
    err: str


class Piped(io.TextIOWrapper):
    """Standard input out of a pipe."""

    def __init__(self, text: bytes, folder: pathlib.Path) -> None:
        path = folder / "standard-input"
        path.write_bytes(text)
        super().__init__(path.open("rb"))


@pytest.fixture
def pack(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> Callable[..., Ended]:
    """`pack` in this process."""

    def run(*arguments: str, stdin: bytes = b"") -> Ended:
        with Piped(stdin, tmp_path) as piped:
            monkeypatch.setattr(sys, "stdin", piped)
            return Ended(main(["pack", *arguments]), *capfd.readouterr())

    return run


def server_variables(server: Server) -> dict[str, str]:
    """The variables by which a command finds the server, and its writer's keys."""
    return {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": server.writer.access_key,
        "AWS_SECRET_ACCESS_KEY": server.writer.secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def start(s3_server: Server) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`python -m beam_s3box` as its users start it, the server's keys in its environment."""
    started: list[subprocess.Popen[bytes]] = []
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**clean, **server_variables(s3_server)}

    def run(
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stderr: int | None = None,
        ignored: Sequence[signal.Signals] = (),
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "beam_s3box", *arguments],
            cwd=ROOT,
            env={**environment, **(env or {})},
            preexec_fn=lambda: _mind_signals(ignored),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if stderr is None else stderr,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _mind_signals(ignored: Sequence[signal.Signals]) -> None:
    """Ignore these signals and no others, whatever the shell's background or `nohup` has left to these tests."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
