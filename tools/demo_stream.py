"""Show the streaming job on this machine: files land for half a minute, shards and manifests appear on real S3.

`make demo-stream` runs it. It starts a server and the job on Prism, feeds a folder, prints every few seconds what is in
the bucket, and reads it all back with `s3box verify`. Exit code 1 says that not all came back exactly once.
"""

from __future__ import annotations

import gzip
import itertools
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tools import demo, seaweedfs
from tools.prism import prism_binary

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DESTINATION = f"s3://{demo.BUCKET}/stream"
FEED_SECONDS = 30.0
WINDOW_SECONDS = 10

_FILES = 60
_LINES = 500
_MARGIN_SECONDS = 4
"""For the last files to grow as old as the job asks for, and to be found."""

_SHOW_SECONDS = 3.0


def stream_command(landing: Path, endpoint_url: str, prism: Path) -> list[str]:
    """Return the command that a user would type; the keys come by the environment, not by arguments."""
    return [
        "python",
        "-m",
        "pipelines.stream",
        f"--input={landing}/*.jsonl",
        f"--destination={DESTINATION}",
        f"--domain_field={demo.DOMAIN_FIELD}",
        f"--namespace_field={demo.NAMESPACE_FIELD}",
        f"--window=fixed:{WINDOW_SECONDS}",
        "--poll_interval=1",
        "--max_seconds=5",
        f"--stop_after={FEED_SECONDS + _MARGIN_SECONDS:g}",
        f"--s3_endpoint_url={endpoint_url}",
        f"--s3_region_name={seaweedfs.REGION}",
        "--runner=PrismRunner",
        f"--prism_location={prism}",
    ]


def start_stream(server: seaweedfs.Server, landing: Path) -> subprocess.Popen[bytes]:
    """Start the job in a process of its own."""
    command = stream_command(landing, server.endpoint_url, prism_binary())
    _say("$ " + " \\\n    ".join([shlex.join(command[:3]), *map(shlex.quote, command[3:])]))
    keys = {"AWS_ACCESS_KEY_ID": server.writer.access_key, "AWS_SECRET_ACCESS_KEY": server.writer.secret_key}
    # a token or profile of the caller's own would not fit these keys
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.Popen([sys.executable, *command[1:]], cwd=demo.ROOT, env=inherited | keys)


def feed(landing: Path, seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Path]:
    """Yield files as they land, spread over some seconds; each appears whole, under its name."""
    with gzip.open(demo.ROOT / demo.SOURCE, "rb") as source:
        for number in range(_FILES):
            partial = landing / f".{number}.partial"
            partial.write_bytes(b"".join(itertools.islice(source, _LINES)))
            yield partial.rename(landing / f"{number:03d}.jsonl")
            sleep(seconds / _FILES)


def progress_of(objects: dict[str, int], landed: int, seconds: float) -> str:
    """Return a line on what lies in the bucket."""
    shards = [size for key, size in objects.items() if key.startswith("stream/data/")]
    manifests = sum(key.endswith(".manifest") for key in objects)
    return (
        f"{seconds:4.0f} s  {landed:2} files landed  {len(shards):4,} shards of {sum(shards):9,} bytes  "
        f"{manifests:3,} manifests"
    )


def watch(server: seaweedfs.Server, landing: Path, job: subprocess.Popen[bytes]) -> None:
    """Feed the folder and show the bucket until the job has ended."""
    client: S3Client = server.client(server.reader)
    files: list[Path] = []
    begun = shown = time.monotonic()

    def show() -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _SHOW_SECONDS:
            shown = now
            print(progress_of(demo.list_bucket(client), len(files), now - begun), flush=True)

    for file in feed(landing, FEED_SECONDS):
        files.append(file)
        show()
        if job.poll() is not None:
            return
    while job.poll() is None:
        time.sleep(0.2)
        show()


def main() -> int:
    """Run the demo and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="landing-") as folder, seaweedfs.seaweedfs(demo.BUCKET) as server:
        landing = Path(folder)
        _say(f"A SeaweedFS server answers at {server.endpoint_url}; it and its data go when the demo ends.")
        job = start_stream(server, landing)
        try:
            watch(server, landing, job)
        finally:
            job.kill()
            code = job.wait()
        if code:
            print(f"The job failed with exit code {code}.", file=sys.stderr)
            return 1
        client: S3Client = server.client(server.reader)
        last = max(key for key in demo.list_bucket(client) if key.endswith(".manifest"))
        demo.show_manifest(client, last)
        return demo.look_back(server, DESTINATION, f"{landing}/*.jsonl")


def _say(line: str) -> None:
    # the job writes to the terminal itself: nothing of ours may wait in a buffer meanwhile
    print(f"\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
