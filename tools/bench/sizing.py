"""What a stream of any size needs, on paper: requests, state and dollars a day, and those of Amazon Data Firehose.

`python -m tools.bench.sizing` prints the table of docs/performance.md; its options are the quantities of the formulas.
"""

from __future__ import annotations

import argparse
from typing import Final

PRICES: Final = "us-east-1, list prices, 2025"
DAY: Final = 86_400
GIB: Final = 1 << 30
ENTRY_BYTES: Final = 300
"""In state, of a stream that is open: key, sizes and timers."""

S3_PUTS: Final = 3_500
"""Requests a second that S3 takes for each prefix."""

WINDOWS: Final = {"1 min": 60, "15 min": 900, "1 h": 3_600}
"""Of windows and of `max_seconds`."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--terabytes", type=float, default=1.0, help="of JSON a day, 10^12 bytes each")
    add("--streams", type=int, default=10_000, help="that all get records all the time")
    add("--record", type=int, default=300, help="bytes of a record")
    add("--ratio", type=float, default=7.6, help="of compression")
    add("--mb_per_core", type=float, default=10.0, help="MB that a core takes in a second, line by line")
    add("--headroom", type=float, default=3.0, help="of the busiest hour over the mean")
    add("--core_hour", type=float, default=0.05, help="dollars for an hour of a core")
    add("--put", type=float, default=0.005, help="dollars for 1,000 PUTs")
    add(
        "--firehose_gb",
        type=float,
        default=0.029,
        help="dollars for a GB that Firehose takes, in steps of 5 KB a record",
    )
    add("--partition_gb", type=float, default=0.02, help="dollars for a GB that it partitions")
    add("--partition_objects", type=float, default=0.005, help="dollars for 1,000 objects that it delivers")
    for line in lines(parser.parse_args()):
        print(line)


def lines(given: argparse.Namespace) -> list[str]:
    """Return the lines of the table."""
    rate = given.terabytes * 1e12 / DAY
    cores = rate * given.headroom / given.mb_per_core / 1e6
    computing = cores * 24 * given.core_hour
    rows = [f"{given.terabytes:g} TB a day in {given.streams:,} streams; {PRICES}", _row("", *WINDOWS)]
    shards = {name: given.streams * DAY / seconds for name, seconds in WINDOWS.items()}
    requests = {name: 2 * number for name, number in shards.items()}
    state = {name: rate * seconds / given.ratio + given.streams * ENTRY_BYTES for name, seconds in WINDOWS.items()}
    stored = given.terabytes * 1e12 / given.ratio
    ours = {name: number / 1_000 * given.put + computing for name, number in requests.items()}
    gigabytes = given.terabytes * 1e12 / GIB
    taken = gigabytes * (given.firehose_gb + given.partition_gb)
    theirs = {name: taken + shards[name] / 1_000 * given.partition_objects for name in WINDOWS}
    one_by_one = gigabytes * 5_120 / given.record * given.firehose_gb
    rows += [
        _row("KB on S3 a shard", *(f"{stored / shards[name] / 1e3:,.0f}" for name in WINDOWS)),
        _row("PUTs a second, shards and manifests", *(f"{requests[name] / DAY:,.1f}" for name in WINDOWS)),
        _row("of what S3 takes for a prefix", *(f"{requests[name] / DAY / S3_PUTS:.1%}" for name in WINDOWS)),
        _row("state at most, MB", *(f"{state[name] / 1e6:,.0f}" for name in WINDOWS)),
        _row(f"dollars a day, with {cores:.1f} cores", *(f"{ours[name]:,.2f}" for name in WINDOWS)),
        _row("Firehose, records joined to 5 KB", *(f"{theirs[name]:,.2f}" for name in WINDOWS)),
        f"Firehose, a record of {given.record} bytes a call: {one_by_one:,.2f} more for what it takes",
    ]
    return rows


def _row(name: str, *cells: str) -> str:
    return f"{name:36}" + "".join(f"{cell:>12}" for cell in cells)


if __name__ == "__main__":
    main()
