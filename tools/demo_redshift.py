"""Show the last mile on this machine: flights to shards and manifests on S3, and from there into a table, exactly once.

`make demo-redshift` runs it. S3 is a real server; Redshift is `redshift_stand_in`, a real PostgreSQL that applies
COPY's documented rules, and the client is Amazon's own driver. Exit code 1 says that counts don't agree.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shlex
import subprocess
import sys
from typing import TypeAlias

from redshift_stand_in import ROLE, RedshiftStandIn
from tools import demo, seaweedfs

SOURCE = demo.SOURCE
TABLE = "public.flights"
RUN_ID = "demo"
DESTINATION = "s3://demo/flights"
QUERY = f"SELECT carrier, origin, COUNT(*), SUM(distance) FROM {TABLE} GROUP BY carrier, origin"
MANIFESTS = [f"{DESTINATION}/manifests/{RUN_ID}/0000{number}.manifest" for number in range(2)]

Sums: TypeAlias = dict[tuple[str, str], tuple[int, int]]
"""Flights and miles of each stream."""

_SHOWN = 8


def main() -> int:
    """Run the demo and return its exit code."""
    with (
        seaweedfs.seaweedfs("demo") as s3,
        RedshiftStandIn(s3.endpoint_url, s3.reader.access_key, s3.reader.secret_key, region=seaweedfs.REGION) as server,
    ):
        print(f"S3 answers at {s3.endpoint_url}, the stand-in for Redshift at {server.host}:{server.port}.", flush=True)
        keys = {
            "AWS_ACCESS_KEY_ID": s3.writer.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.writer.secret_key,
            "REDSHIFT_PASSWORD": server.password,
        }
        options = redshift_options(server, s3.endpoint_url)
        try:
            run(backfill_command(options), keys)
            print("\nOnce more, as after a lost answer:", flush=True)
            run(load_command(options), keys)
        except subprocess.CalledProcessError as exc:
            print(f"It failed with exit code {exc.returncode}.", file=sys.stderr)
            return 1
        return compare(sums_of_source(), sums_of_table(server))


def redshift_options(server: RedshiftStandIn, endpoint_url: str) -> list[str]:
    """Return the options that both commands take."""
    place = f"{server.user}@{server.host}:{server.port}/{server.database}"
    return [
        f"--redshift_table={TABLE}",
        f"--redshift_iam_role={ROLE}",
        f"--redshift_dsn=redshift://{place}?ssl=false",
        "--redshift_create_tables",
        f"--s3_endpoint_url={endpoint_url}",
        f"--s3_region_name={seaweedfs.REGION}",
    ]


def backfill_command(options: list[str]) -> list[str]:
    """Return the command that writes shards and two manifests over all streams, makes the table and loads them."""
    return [
        *("python", "-m", "pipelines.backfill"),
        f"--input={SOURCE}",
        f"--destination={DESTINATION}",
        f"--domain_field={demo.DOMAIN_FIELD}",
        f"--namespace_field={demo.NAMESPACE_FIELD}",
        "--manifest_scope=run",
        "--manifest_count=2",
        f"--run_id={RUN_ID}",
        *options,
    ]


def load_command(options: list[str]) -> list[str]:
    """Return the command that loads the manifests alone."""
    return [*("python", "-m", "beam_s3box"), "load", *MANIFESTS, *options]


def run(command: list[str], keys: dict[str, str]) -> None:
    """Run a command as a user would type it.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    print("\n$ " + " \\\n    ".join([shlex.join(command[:3]), *map(shlex.quote, command[3:])]), flush=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    subprocess.run([sys.executable, *command[1:]], cwd=demo.ROOT, env=inherited | keys, check=True)


def sums_of_source() -> Sums:
    """Count the flights of each stream in the file, and add up their miles."""
    sums: Sums = {}
    with gzip.open(demo.ROOT / SOURCE, "rb") as lines:
        for record in map(json.loads, lines):
            stream = record[demo.DOMAIN_FIELD], record[demo.NAMESPACE_FIELD]
            flights, miles = sums.get(stream, (0, 0))
            sums[stream] = flights + 1, miles + int(record["distance"])
    return sums


def sums_of_table(server: RedshiftStandIn) -> Sums:
    """Ask the table for the same."""
    with contextlib.closing(server.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(QUERY)
        return {(carrier, origin): (int(flights), int(miles)) for carrier, origin, flights, miles in cursor.fetchall()}


def compare(source: Sums, table: Sums) -> int:
    """Print both and return the exit code."""
    print(f"\n{QUERY}\n{'':10}{'in the table':>20}{'in the source':>20}")
    for stream in sorted(source.keys() | table.keys())[:_SHOWN]:
        print(f"{'/'.join(stream):<10}{_shown(table, stream):>20}{_shown(source, stream):>20}")
    print(f"… {len(source)} streams, {_total(table):,} rows in the table, {_total(source):,} records in the source")
    print("All agree, stream by stream." if source == table else "THEY DIFFER.")
    return 0 if source == table else 1


def _shown(sums: Sums, stream: tuple[str, str]) -> str:
    flights, miles = sums.get(stream, (0, 0))
    return f"{flights:,}, {miles:,}"


def _total(sums: Sums) -> int:
    return sum(flights for flights, _ in sums.values())


if __name__ == "__main__":
    sys.exit(main())
