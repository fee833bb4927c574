"""What all scenarios share: one S3 server that can be killed, a proxy before it that holds requests, and a round."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.checker.places import Bucket
from tests.s3_proxy import Exchange, Misbehaviour, Proxy, Request, s3_proxy
from tools.chaos.counting import Counted
from tools.seaweedfs import REGION, Restartable, Server, restartable

_SHOWN = 3_000
HELD_SECONDS = 120.0
"""A request is held no longer, whatever happens to those who hold it."""


@dataclasses.dataclass(frozen=True)
class World:
    """A bucket, and two ways to it.

    Attributes:
      s3: the server, which can be killed and started again.
      proxy: what the programs under test talk to.
      stack: what is to be ended when all is over.
      folder: for logs and files.
    """

    s3: Restartable
    proxy: Proxy
    stack: contextlib.ExitStack
    folder: Path

    @property
    def server(self) -> Server:
        """The server as the programs see it, through the proxy."""
        return dataclasses.replace(self.s3.server, endpoint_url=self.proxy.endpoint_url)

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to write there."""
        writer = self.s3.server.writer
        return {
            "AWS_ENDPOINT_URL": self.proxy.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": writer.access_key,
            "AWS_SECRET_ACCESS_KEY": writer.secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def place(self, url: str) -> Bucket:
        """Return a destination, to be read past the proxy."""
        return Bucket(url, self.s3.server.client(self.s3.server.reader))


@contextlib.contextmanager
def new_world(folder: Path) -> Iterator[World]:
    """Start the server and the proxy, and end them and all that was added to the stack."""
    with restartable("chaos") as s3, s3_proxy(s3.server.endpoint_url) as proxy, contextlib.ExitStack() as stack:
        yield World(s3, proxy, stack, folder)


@dataclasses.dataclass
class Round:
    """One round of a scenario.

    Attributes:
      world: where it is.
      name: of the scenario and the number of the round; names folders, too.
      random: all its choices; the same seed, scenario and number give the same ones.
      faults: how many of each kind were injected.
      problems: what did not go as it should, a sentence each, apart from what is counted.
      hung: programs that did not end in time.
    """

    world: World
    name: str
    random: random.Random
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    problems: list[str] = dataclasses.field(default_factory=list)
    hung: int = 0

    @property
    def url(self) -> str:
        """The destination of the round."""
        return f"s3://{self.world.s3.server.bucket}/{self.name}"

    @property
    def folder(self) -> Path:
        """A folder for the files of the round."""
        folder = self.world.folder / self.name
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def log(self) -> Path:
        """A file for what the programs of the round say."""
        return self.folder / "said.log"

    def blame(self, problem: str) -> None:
        """Note a problem, with the last lines of the log."""
        said = self.log.read_text(errors="replace").strip() if self.log.exists() else ""
        self.problems.append(f"{problem}; the last words are\n{said[-_SHOWN:]}")


class Scenario(Protocol):
    """Something that is done again and again, under faults.

    Attributes:
      name: one or more words with hyphens.
    """

    name: str

    def play(self, round: Round) -> Counted:
        """Play one round, and count what it left.

        Raises:
          RuntimeError: what it needs can't be had on this machine.
        """
        ...


class Gate:
    """Holds one request until it is opened, for what shall happen at that very request.

    Args:
      index: which request, from 0, over all operations.
      way: `before`: the server gets it when the gate is opened, however late; `after`: it has got it before, and the
        answer waits; `never`: it does not get it, and the connection breaks.
    """

    def __init__(self, index: int, way: str) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.requests = 0
        self._index, self._way = index, way
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Misbehaviour | None:
        with self._lock:
            self.requests += 1
            return self._hold if self.requests == self._index + 1 else None

    def _hold(self, exchange: Exchange) -> None:
        answer = exchange.forward() if self._way == "after" else None
        self.reached.set()
        self.opened.wait(HELD_SECONDS)
        if self._way == "never":
            exchange.reset()
        else:
            exchange.answer(answer or exchange.forward())


def random_gate(source: random.Random, index: int) -> Gate:
    """Return a gate at a request, in one of the three ways."""
    return Gate(index, source.choice(["before", "after", "never"]))


def clean_environment() -> dict[str, str]:
    """Return the environment of this process without what it says of AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REDSHIFT_"))}
