"""The same job with other tools: JSON lines to gzip JSON on S3, by stream. `python -m tools.bench.peers` prints it.

Each tool is installed into an environment of its own in a temporary folder, runs as a whole process that reads the file
and writes it to a local SeaweedFS, and its output is counted afterwards. Processor time is that of its process tree.
What a tool can't do is said next to it; `--peers` picks some, `--records` the size.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from tools.bench.data import make_lines
from tools.bench.measure import CACHE, json_of, machine, use
from tools.seaweedfs import Server, seaweedfs

RECORDS: Final = 112_000


class Peer(NamedTuple):
    """Another tool.

    Attributes:
      packages: what is installed for it, empty for what the project has.
      program: text of Python; `PATH` and `OUT` (an S3 URL) are set in its environment.
      lacks: of what a backfill does.
    """

    packages: tuple[str, ...]
    program: str
    lacks: str


_OURS: Final = """
import os, sys
from beam_s3box.cli.main import main
options = ["--domain_field=carrier", "--namespace_field=origin", "--quiet"]
sys.exit(main([{command}, *options]))
"""
PEERS: Final = {
    "s3box backfill": Peer(
        (),
        _OURS.format(command='"backfill", "--input", os.environ["PATH_IN"], "--destination", os.environ["OUT"]'),
        "",
    ),
    "s3box pack": Peer(
        (),
        _OURS.format(command='"pack", "--input", os.environ["PATH_IN"], os.environ["OUT"]'),
        "reads local files only",
    ),
    "Beam's fileio.WriteToFiles": Peer(
        (),
        """
import os
from tools.bench import cases
bucket, _, folder = os.environ["OUT"].removeprefix("s3://").partition("/")
cases.write_to_files(os.environ["PATH_IN"], bucket, folder)
""",
        "sizes, manifests, dead letters; renames each file",
    ),
    "DuckDB": Peer(
        ("duckdb==2.0.1",),
        """
import duckdb, os
duckdb.execute(
    "copy (select * from read_ndjson(?)) to '" + os.environ["FOLDER"] +
    "' (format json, partition_by (carrier, origin), write_partition_columns true, compression gzip)",
    [os.environ["PATH_IN"]],
)
""",
        "S3 (its extension is loaded from elsewhere: a folder here), limits, manifests, dead letters; guesses types",
    ),
    "awswrangler": Peer(
        ("awswrangler==3.17.1",),
        """
import os
import awswrangler as wr, pandas as pd
wr.config.s3_endpoint_url = os.environ["AWS_ENDPOINT_URL_S3"]
for rows in pd.read_json(os.environ["PATH_IN"], lines=True, chunksize=100_000):
    for (carrier, origin), some in rows.groupby(["carrier", "origin"]):
        wr.s3.to_json(some, f"{os.environ['OUT']}/{carrier}/{origin}/{some.index[0]}.json.gz", orient="records",
                      lines=True, compression="gzip", index=None)
""",
        "streams and sizes (grouped by hand), manifests, dead letters; guesses types",
    ),
    "dlt": Peer(
        ("dlt[filesystem]==1.31.0", "s3fs==2026.9.0"),
        """
import json, os
import dlt
from dlt.destinations import filesystem
def rows():
    with open(os.environ["PATH_IN"], "rb") as file:
        for line in file:
            yield json.loads(line)
keys = {f"aws_{name}": os.environ[f"AWS_{name.upper()}"] for name in ("access_key_id", "secret_access_key")}
place = filesystem(os.environ["OUT"], credentials=keys | {"endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"]})
pipeline = dlt.pipeline("peers", pipelines_dir=os.environ["FOLDER"], dataset_name="flights", destination=place)
name = lambda row: f"{row['carrier']}_{row['origin']}"
pipeline.run(dlt.resource(rows, name="flights", table_name=name), loader_file_format="jsonl").raise_on_failed_jobs()
""",
        "sizes by default, manifests; adds columns of its own",
    ),
}
ABSENT: Final = (
    "Go's s3box: no proxy serves its module",
    "Vector, Redpanda Connect: no open package of theirs is served here",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--records", type=int, default=RECORDS)
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    path = make_lines(CACHE / f"flights-{arguments.records}.jsonl", arguments.records)
    table = Table("tool", "wall s", "processor s", "peak MB", "objects", "records", "what it lacks")
    results = {}
    with seaweedfs("bench") as server, tempfile.TemporaryDirectory(prefix="peers-") as folder:
        use(server)
        for name in arguments.peers:
            result = results[name] = _measured(name, path, server, pathlib.Path(folder))
            figures = (str(result[key]) for key in ("wall", "cpu", "peak_mb", "objects", "records"))
            table.add_row(name, *figures, result["lacks"])
    (CACHE / "peers.json").write_text(json.dumps(results, indent=2) + "\n")
    console = Console(width=140)
    console.print(f"{machine()}; {arguments.records:,} JSON lines, {path.stat().st_size / 1e6:.0f} MB; real SeaweedFS")
    console.print(table)
    console.print(*ABSENT, sep="\n")


def _measured(name: str, path: pathlib.Path, server: Server, folder: pathlib.Path) -> dict[str, Any]:
    peer = PEERS[name]
    prefix = f"peers/{name.replace(' ', '-')}-{os.getpid()}"
    local = folder / name.replace(" ", "-")
    python = _installed(peer.packages, folder / f"venv-{name.replace(' ', '-')}")
    os.environ.update(PATH_IN=str(path), OUT=f"s3://{server.bucket}/{prefix}", FOLDER=str(local))
    used = json_of([sys.executable, "-m", "tools.bench.tree", python, "-c", peer.program])
    objects, records = _counted(server, prefix, local)
    return {
        "wall": round(used["seconds"], 1),
        "cpu": round(used["cpu"], 1),
        "peak_mb": round(used["peak_bytes"] / 1e6),
        "objects": objects,
        "records": records,
        "lacks": peer.lacks,
    }


def _installed(packages: tuple[str, ...], folder: pathlib.Path) -> str:
    """Return the Python that has the packages."""
    if not packages:
        return sys.executable
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
    return python


def _counted(server: Server, prefix: str, local: pathlib.Path) -> tuple[int, int]:
    """Return how many objects of data there are, and how many records they have."""
    client, objects, records = server.client(), 0, 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=server.bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            if _is_data(entry["Key"]):
                body = client.get_object(Bucket=server.bucket, Key=entry["Key"])["Body"].read()
                objects, records = objects + 1, records + gzip.decompress(body).count(b"\n")
    for path in local.rglob("*.json*"):
        if "duckdb" in str(path).lower():
            text = gzip.decompress(path.read_bytes())
            objects, records = objects + 1, records + text.count(b"\n")
    return objects, records


def _is_data(key: str) -> bool:
    return key.endswith((".json.gz", ".jsonl.gz", ".jsonl")) and not any(
        part in key for part in ("/_dlt", "/runs/", "/manifests/", "/dead-letters/")
    )


if __name__ == "__main__":
    main()
