"""Show the whole way on this machine: flights to shards and manifests on a real S3 server, and back.

`make demo` runs it. It starts a server, runs the pipeline as a user would, shows what lies in the bucket, and reads it
all back with `s3box report` and `s3box verify`. Exit code 1 says that something did not come back.
"""

from __future__ import annotations

import collections
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import seaweedfs

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "examples/flights.jsonl.gz"
BUCKET = "demo"
DESTINATION = f"s3://{BUCKET}/flights"
DOMAIN_FIELD, NAMESPACE_FIELD = "carrier", "origin"

_MAX_FOLDERS = 5
_MAX_ENTRIES = 2


def pipeline_command(endpoint_url: str, report: Path) -> list[str]:
    """Return the command that a user would type; the keys come by the environment, not by arguments."""
    return [
        "python",
        "-m",
        "pipelines.backfill",
        f"--input={SOURCE}",
        f"--destination={DESTINATION}",
        f"--domain_field={DOMAIN_FIELD}",
        f"--namespace_field={NAMESPACE_FIELD}",
        "--max_object_bytes=64KiB",
        "--manifest_count=2",
        f"--report={report}",
        f"--s3_endpoint_url={endpoint_url}",
        f"--s3_region_name={seaweedfs.REGION}",
    ]


def run_pipeline(server: seaweedfs.Server, report: Path) -> None:
    """Run the pipeline in a process of its own.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    command = pipeline_command(server.endpoint_url, report)
    _say("$ " + " \\\n    ".join([shlex.join(command[:3]), *map(shlex.quote, command[3:])]))
    subprocess.run([sys.executable, *command[1:]], cwd=ROOT, env=environment_of(server), check=True)


def environment_of(server: seaweedfs.Server) -> dict[str, str]:
    """Return the environment of a command that reaches the server."""
    keys = {
        "AWS_ENDPOINT_URL_S3": server.endpoint_url,
        "AWS_DEFAULT_REGION": seaweedfs.REGION,
        "AWS_ACCESS_KEY_ID": server.writer.access_key,
        "AWS_SECRET_ACCESS_KEY": server.writer.secret_key,
    }
    # a token or profile of the caller's own would not fit these keys
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return inherited | keys


def look_back(server: seaweedfs.Server, destination: str, source: str) -> int:
    """Run the commands that say what a run has written, and prove it; return the first exit code that is not 0."""
    code = 0
    for command in (["report", destination], ["verify", destination, f"--source={source}"]):
        _say(f"$ s3box {shlex.join(command)}")
        done = subprocess.run(
            [sys.executable, "-m", "beam_s3box", *command],
            cwd=ROOT,
            env=environment_of(server),
            check=False,
        )
        code = code or done.returncode
    return code


def list_bucket(client: S3Client) -> dict[str, int]:
    """Return the size of each object, by key."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}


def show_bucket(objects: dict[str, int]) -> None:
    """Print what lies in the bucket, folder by folder, the first folders of each kind."""
    _say(f"s3://{BUCKET}: {len(objects):,} objects, {sum(objects.values()):,} bytes")
    for kind, keys in _grouped(objects, lambda key: "/".join(key.split("/")[:2])).items():
        folders = _grouped(keys, lambda key: key.rpartition("/")[0])
        print(f"  {kind}/: {len(keys):,} objects in {len(folders):,} folders")
        for folder, inside in list(folders.items())[:_MAX_FOLDERS]:
            print(f"    {folder}/: {len(inside):,} objects, {sum(map(objects.__getitem__, inside)):,} bytes")
        if len(folders) > _MAX_FOLDERS:
            print(f"    … and {len(folders) - _MAX_FOLDERS} more")


def show_manifest(client: S3Client, key: str) -> None:
    """Print a manifest, its first entries only."""
    with client.get_object(Bucket=BUCKET, Key=key)["Body"] as body:
        manifest: dict[str, Any] = json.loads(body.read())
    entries = manifest["entries"]
    shown = entries[:_MAX_ENTRIES]
    _say(f"s3://{BUCKET}/{key}, as COPY … MANIFEST takes it ({len(shown)} of {len(entries)} entries):")
    print(json.dumps(manifest | {"entries": shown}, indent=2))


def main() -> int:
    """Run the demo and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder, seaweedfs.seaweedfs(BUCKET) as server:
        _say(f"A SeaweedFS server answers at {server.endpoint_url}; it and its data go when the demo ends.")
        client: S3Client = server.client(server.reader)
        try:
            run_pipeline(server, Path(folder, "report.json"))
            objects = list_bucket(client)
            show_bucket(objects)
            # the largest has the most to show
            manifests = [key for key in objects if key.endswith(".manifest")]
            for key in sorted(manifests, key=objects.__getitem__)[-1:]:
                show_manifest(client, key)
            return look_back(server, DESTINATION, SOURCE)
        except subprocess.CalledProcessError as exc:
            print(f"The pipeline failed with exit code {exc.returncode}.", file=sys.stderr)
            return 1


def _grouped(keys: Iterable[str], name: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for key in sorted(keys):
        groups[name(key)].append(key)
    return groups


def _say(line: str) -> None:
    # the pipeline writes to the terminal itself: nothing of ours may wait in a buffer meanwhile
    print(f"\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
