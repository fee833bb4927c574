"""Check what one run left at its destination: `python -m tests.checker s3://bucket/prefix data/*.jsonl.gz`.

Credentials come from where boto3 looks for them, such as AWS_ACCESS_KEY_ID. Exit codes: 0 nothing is wrong; 1 something
is, and the last lines say what.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import boto3

from tests.checker.places import Bucket, Folder, Place
from tests.checker.verification import Rules, Verification


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.checker", description="Check what one run left.")
    parser.add_argument("destination", help="s3://bucket/prefix or a folder, as given to the run")
    parser.add_argument("sources", nargs="*", type=Path, help="the run's input: files of JSON lines, also as .gz")
    parser.add_argument("--run_id", default="", help="default: the only run of the destination")
    parser.add_argument("--id_field", help="field that identifies a record")
    parser.add_argument("--stream_fields", nargs=2, default=(), metavar="FIELD", help="fields for domain and namespace")
    parser.add_argument("--time_field", help="field with a time in seconds since 1970 that must be within the window")
    parser.add_argument("--outside", type=int, default=0, help="number of records outside of their window (default: 0)")
    parser.add_argument("--times", type=int, default=1, help="number of windows that each record is in (default: 1)")
    parser.add_argument(
        "--may_be_unlisted", dest="unlisted", action="store_true", help="accept shards that no manifest lists"
    )
    parser.add_argument("--endpoint_url", help="of the S3 server (default: Amazon's)")
    parser.add_argument("--region_name", help="default: as boto3 finds it")
    options = parser.parse_args(arguments)
    place: Place = Folder(options.destination)
    if options.destination.startswith("s3://"):
        client = boto3.client("s3", endpoint_url=options.endpoint_url, region_name=options.region_name)
        place = Bucket(options.destination, client)
    rules = Rules(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Rules)})
    found = Verification(place, rules, options.sources or None, options.run_id)
    print(f"{found}\n{found.verdict()}")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
