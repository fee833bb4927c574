"""Run a Kinesis for tests on this machine: `kinesis-local` from npm, whose shards split, merge and end as AWS's do.

`python -m tools.kinesis` runs one until Ctrl-C and prints its URL.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from tools.cache import cache_folder, made_once
from tools.moto import client_at
from tools.processes import Which, accepts, find_program, free_ports, running

VERSION = "0.6.2"
_WAY_OUT = "kinesis-local needs Node; install it with npm, as by apt-get install nodejs npm"
_DURATIONS = ("CREATE_STREAM", "DELETE_STREAM", "MERGE_SHARDS", "SPLIT_SHARD", "UPDATE_SHARD_COUNT")
_DURATION = "100ms"


@dataclasses.dataclass(frozen=True)
class Kinesis:
    """A server that answers.

    Attributes:
      endpoint_url: of its API.
    """

    endpoint_url: str

    def client(self) -> Any:
        """Return a client."""
        return client_at("kinesis", self.endpoint_url)

    def create(self, stream: str, shards: int) -> None:
        """Make a stream and wait until it is there."""
        self.client().create_stream(StreamName=stream, ShardCount=shards)
        self.wait(stream)

    def split(self, stream: str, shard: int = 0) -> None:
        """Split the open shard of this place in two halves, and wait until that is done."""
        one = self.open_shards(stream)[shard]
        low, high = (int(one["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        middle = str((low + high) // 2)
        self.client().split_shard(StreamName=stream, ShardToSplit=one["ShardId"], NewStartingHashKey=middle)
        self.wait(stream)

    def merge(self, stream: str) -> None:
        """Merge the first two open shards, which must be neighbours, and wait until that is done."""
        one, other = sorted(self.open_shards(stream), key=_start_of)[:2]
        self.client().merge_shards(
            StreamName=stream, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"]
        )
        self.wait(stream)

    def open_shards(self, stream: str) -> list[dict[str, Any]]:
        """Return the shards that take records."""
        shards = self.client().list_shards(StreamName=stream)["Shards"]
        return [one for one in shards if "EndingSequenceNumber" not in one["SequenceNumberRange"]]

    def put(self, stream: str, records: list[bytes]) -> None:
        """Put records, spread over the shards; those that are throttled are put again."""
        client = self.client()
        for start in range(0, len(records), 100):
            rest = [{"Data": data, "PartitionKey": str(hash(data))} for data in records[start : start + 100]]
            while rest:
                answer = client.put_records(StreamName=stream, Records=rest)["Records"]
                rest = [one for one, put in zip(rest, answer, strict=True) if "ErrorCode" in put]
                time.sleep(0.1 if rest else 0)

    def wait(self, stream: str, seconds: float = 30) -> None:
        """Wait until a stream can be read and changed."""
        deadline = time.monotonic() + seconds
        while _status_of(self.client(), stream) != "ACTIVE":
            if time.monotonic() > deadline:
                raise RuntimeError(f"stream {stream} is not active after {seconds:g} s")
            time.sleep(0.1)


def kinesis_is_there() -> bool:
    """Return whether the program is in the cache."""
    return _folder().is_dir()


@contextlib.contextmanager
def kinesis(which: Which = shutil.which) -> Iterator[Kinesis]:
    """Start a server, and kill it at the end, however that comes.

    Raises:
      MissingToolError: Node or npm is not installed.
      RuntimeError: it can't be downloaded, or did not come up; the message shows why.
    """
    plain, secure = free_ports(2)
    program = made_once(_folder(), functools.partial(_download, which=which)) / "package" / "main.js"
    with tempfile.TemporaryDirectory(prefix="kinesis-", ignore_cleanup_errors=True) as folder:
        variables = {f"{name}_DURATION": _DURATION for name in _DURATIONS} | {
            "KINESIS_MOCK_PLAIN_PORT": str(plain),
            "KINESIS_MOCK_TLS_PORT": str(secure),
            "KINESIS_MOCK_CERT_PATH": str(program.with_name("server.json")),
            "LOG_LEVEL": "ERROR",
            "SHARD_LIMIT": "1000",
        }
        command, log = [find_program("node", _WAY_OUT, which), str(program)], pathlib.Path(folder, "kinesis.log")
        with running("kinesis-local", command, log, [pathlib.Path(folder)], variables) as server:
            server.wait_until(functools.partial(accepts, plain))
            yield Kinesis(f"http://127.0.0.1:{plain}")


def _start_of(shard: dict[str, Any]) -> int:
    return int(shard["HashKeyRange"]["StartingHashKey"])


def _status_of(client: Any, stream: str) -> str:
    try:
        found: str = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamStatus"]
    except client.exceptions.ResourceNotFoundException:
        return "UNKNOWN"
    return found


def _folder() -> pathlib.Path:
    return cache_folder() / f"kinesis-local-{VERSION}"


def _download(folder: pathlib.Path, which: Which) -> None:
    command = [find_program("npm", _WAY_OUT, which), "pack", f"kinesis-local@{VERSION}"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")
    packed = folder / f"kinesis-local-{VERSION}.tgz"
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    packed.unlink()


def main() -> None:
    """Run a server until Ctrl-C or SIGTERM."""
    # as an exception, so that the server is stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), kinesis() as server:
        print(server.endpoint_url, flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
