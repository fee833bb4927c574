"""Show the last mile on this machine: flights to shards and manifests on S3, and from there into a table, exactly once.

`make demo-redshift` runs it. S3 is a real server; Redshift is the stand-in of `tools/redshift`, a real PostgreSQL that
applies COPY's documented rules, and the client is Amazon's own driver. Exit code 1 says that counts don't agree.
"""

from __future__ import annotations

import collections
import contextlib
import gzip
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from tools import seaweedfs
from tools.redshift import ROLE, RedshiftStandIn

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "examples/flights.jsonl.gz"
TABLE = "public.flights"
RUN_ID = "demo"
DESTINATION = "s3://demo/flights"
MANIFESTS = [f"{DESTINATION}/manifests/{RUN_ID}/0-0000{number}-of-00002.manifest" for number in range(2)]


def main() -> int:
    """Run the demo and return its exit code."""
    with seaweedfs.seaweedfs("demo") as s3:
        reader, region = s3.reader, seaweedfs.REGION
        with RedshiftStandIn(
            s3.endpoint_url, reader.access_key, reader.secret_key, region=seaweedfs.REGION
        ) as redshift:
            reach = [f"--s3_endpoint_url={s3.endpoint_url}", f"--s3_region_name={region}"]
            keys = {
                "AWS_ACCESS_KEY_ID": s3.writer.access_key,
                "AWS_SECRET_ACCESS_KEY": s3.writer.secret_key,
                "REDSHIFT_PASSWORD": redshift.password,
            }
            run(backfill_command(reach), keys)
            load = load_command(redshift, reach)
            run(load, keys)
            print("\nonce more, as after a lost answer:")
            run(load, keys)
            return compare(counts_of_source(), counts_of_table(redshift))


def backfill_command(reach: list[str]) -> list[str]:
    """Return the command that writes shards and two manifests over all streams."""
    return [
        *("python", "-m", "pipelines.backfill"),
        f"--input={SOURCE}",
        f"--output={DESTINATION}",
        "--domain_field=carrier",
        "--namespace_field=origin",
        "--manifest_scope=run",
        "--num_manifests=2",
        f"--run_id={RUN_ID}",
        *reach,
    ]


def load_command(redshift: RedshiftStandIn, reach: list[str]) -> list[str]:
    """Return the command that makes the table and loads the manifests."""
    place = f"{redshift.user}@{redshift.host}:{redshift.port}/{redshift.database}"
    return [
        *("python", "-m", "beam_s3box", "load"),
        *MANIFESTS,
        f"--redshift_table={TABLE}",
        f"--redshift_iam_role={ROLE}",
        f"--redshift_dsn=redshift://{place}?ssl=false",
        "--create_tables",
        *reach,
    ]


def run(command: list[str], keys: dict[str, str]) -> None:
    """Run a command as a user would type it.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    print("\n$ " + " \\\n    ".join([shlex.join(command[:3]), *map(shlex.quote, command[3:])]), flush=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    subprocess.run([sys.executable, *command[1:]], cwd=ROOT, env=inherited | keys, check=True)


def counts_of_source() -> dict[tuple[str, str], int]:
    """Count the records of each stream in the file."""
    with gzip.open(ROOT / SOURCE, "rb") as lines:
        records = map(json.loads, lines)
        return dict(collections.Counter((record["carrier"], record["origin"]) for record in records))


def counts_of_table(redshift: RedshiftStandIn) -> dict[tuple[str, str], int]:
    """Ask the table for the same."""
    with contextlib.closing(redshift.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT carrier, origin, COUNT(*) FROM {TABLE} GROUP BY carrier, origin")
        return {(carrier, origin): int(count) for carrier, origin, count in cursor.fetchall()}


def compare(source: dict[tuple[str, str], int], table: dict[tuple[str, str], int]) -> int:
    """Print both counts and return the exit code."""
    print(f"\nSELECT carrier, origin, COUNT(*) FROM {TABLE} GROUP BY carrier, origin")
    for stream in sorted(source)[:5]:
        print(f"  {'/'.join(stream):<8} {table.get(stream, 0):>6,}   source {source[stream]:>6,}")
    agree = source == table
    print(
        f"  {len(source)} streams: {sum(table.values()):,} rows, {sum(source.values()):,} records in the source: "
        f"{'they agree, stream by stream' if agree else 'THEY DIFFER'}"
    )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
