"""Run the streaming job for minutes under a changing load, then check what it wrote with `tests/checker`.

`python -m tools.soak` starts an S3 server and the job on Prism, and lands files for ten minutes: steadily, in bursts,
for many streams at once, and not at all; some records come late, some beyond every lateness, some without a time, some
are broken. What the job says of itself is compared with the independent count. Exit code 1: a record is missing or
there twice, or anything else is not as it should be.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.checker.places import Bucket
from tests.checker.verification import Rules, Verification
from tools import seaweedfs
from tools.prism import prism_binary

_ROOT = Path(__file__).resolve().parent.parent
_DESTINATION = "s3://soak/stream"
_WINDOW_SECONDS, _DELAY_SECONDS, _LATENESS_SECONDS = 20, 10, 60
_LATE_SECONDS, _GONE_SECONDS = 25, 3_600
"""Behind the watermark, with half a minute to spare for a busy machine; and behind every lateness."""

_CYCLE_SECONDS = 60.0
_MARGIN_SECONDS = 8.0
"""For the last files to grow as old as the job asks for, and to be found."""

_ENDING_SECONDS = 300.0
_SHOW_SECONDS = 10.0
_ARRIVALS = re.compile(r"([\d,]+) (?:with a time to come|too late for their window)")


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of the load.

    Attributes:
      name: for people.
      share: how much of a cycle it takes.
      files: that land each second.
      lines: of each file.
      streams: that these are of.
    """

    name: str
    share: float
    files: float
    lines: int
    streams: int


CYCLE = (
    Phase("steady", 0.35, 1, 300, 5),
    Phase("burst", 0.15, 8, 2_000, 5),
    Phase("silence", 0.25, 0, 0, 0),
    Phase("many streams", 0.10, 1, 400, 200),
    Phase("trickle", 0.15, 1, 3, 2),
)


@dataclasses.dataclass
class Fed:
    """What was fed so far.

    Attributes:
      records: lines that are records; the next one's id.
      late: of these, how many came after their window had ended.
      displaced: those whose own window takes them no more, or not for a long time.
      files: that landed.
    """

    records: int = 0
    late: int = 0
    displaced: int = 0
    files: int = 0


def phase_at(seconds: float, cycle_seconds: float) -> Phase:
    """Return the load at a time."""
    position = seconds % cycle_seconds / cycle_seconds
    for phase in CYCLE:
        position -= phase.share
        if position < 0:
            return phase
    return CYCLE[-1]


def lines_of(phase: Phase, fed: Fed, source: random.Random, now: float) -> Iterator[str]:
    """Yield the lines of a file; one of them is no record."""
    for number in range(phase.lines):
        record = {"i": fed.records, "d": "soak", "n": f"n{number % phase.streams}", "t": now - source.random()}
        record["pad"] = f"{source.getrandbits(200):x}" if number % 7 else "same"
        if number % 40 == 1:
            record["t"] = now - _LATE_SECONDS - _WINDOW_SECONDS
            fed.late += 1
        elif number % 300 == 2:
            record["t"] = now + source.choice([-1, 1]) * _GONE_SECONDS
            fed.displaced += 1
        elif number % 300 == 3:
            del record["t"]
        fed.records += 1
        yield json.dumps(record)
    yield f"no record {fed.files}"


def feed(landing: Path, seconds: float, fed: Fed, source: random.Random) -> Iterator[Phase]:
    """Land files; yield the phase after each, and now and then where none lands."""
    cycle, begun = min(_CYCLE_SECONDS, seconds), time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        phase = phase_at(passed, cycle)
        if phase.files:
            partial = landing / f".{fed.files}.partial"
            partial.write_text("\n".join(lines_of(phase, fed, source, time.time())) + "\n")
            partial.rename(landing / f"{fed.files:06d}.jsonl")
            fed.files += 1
        yield phase
        time.sleep(1 / (phase.files or 1))


def command_of(landing: Path, report: Path, endpoint_url: str, seconds: float) -> list[str]:
    """Return the command of the job; keys come by the environment."""
    return [
        "python",
        "-m",
        "pipelines.stream",
        f"--input={landing}/*.jsonl",
        f"--destination={_DESTINATION}",
        *("--domain_field=d", "--namespace_field=n", "--timestamp_field=t"),
        f"--window=fixed:{_WINDOW_SECONDS}",
        f"--watermark_delay={_DELAY_SECONDS}",
        f"--allowed_lateness={_LATENESS_SECONDS}",
        *("--triggering_frequency=10", "--max_seconds=5", "--max_records=5000", "--lanes=2", "--poll_interval=1"),
        f"--stop_after={seconds + _MARGIN_SECONDS:g}",
        f"--report={report}",
        f"--s3_endpoint_url={endpoint_url}",
        f"--s3_region_name={seaweedfs.REGION}",
        *("--runner=PrismRunner", f"--prism_location={prism_binary()}"),
        # otherwise Beam disconnects from Prism after 300 seconds, and the job ends
        f"--job_server_timeout={seconds + _ENDING_SECONDS:.0f}",
    ]


def run(server: seaweedfs.Server, folder: Path, seconds: float, seed: int) -> int:
    """Feed the job, wait for its end, and count; return the exit code."""
    landing, report, log = folder / "landing", folder / "report.json", folder / "job.log"
    landing.mkdir()
    command = command_of(landing, report, server.endpoint_url, seconds)
    print("$ " + shlex.join(command), flush=True)
    keys = {"AWS_ACCESS_KEY_ID": server.writer.access_key, "AWS_SECRET_ACCESS_KEY": server.writer.secret_key}
    fed = Fed()
    with log.open("w") as said:
        job = subprocess.Popen(
            [sys.executable, *command[1:]], cwd=_ROOT, env={**os.environ, **keys}, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            watch(server, landing, seconds, fed, seed, job)
            code = job.wait(_ENDING_SECONDS)
        finally:
            job.kill()
            job.wait()
    output = log.read_text()
    print("\n".join(["the job says:", *(line[:160] for line in output.splitlines()[-9:])]))
    print(f"exit code {code}, at most {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024:,} MB a process")
    return count(server, landing, report, fed, output) or code


def watch(
    server: seaweedfs.Server, landing: Path, seconds: float, fed: Fed, seed: int, job: subprocess.Popen[bytes]
) -> None:
    """Feed while the job runs, and show what lies in the bucket."""
    place = place_of(server)
    begun = shown = time.monotonic()
    for phase in feed(landing, seconds, fed, random.Random(seed)):
        now = time.monotonic()
        if job.poll() is not None:
            return
        if now - shown >= _SHOW_SECONDS:
            shown, keys = now, place.keys()
            shards, manifests = (sum(key.startswith(name) for key in keys) for name in ("data/", "manifests/"))
            print(
                f"{now - begun:4.0f} s  {phase.name:12}  {fed.records:9,} records in {fed.files:5,} files  "
                f"{shards:6,} shards  {manifests:6,} manifests",
                flush=True,
            )


def place_of(server: seaweedfs.Server) -> Bucket:
    """Return the destination, read with keys that may only read."""
    return Bucket(_DESTINATION, server.client(server.reader))


def count(server: seaweedfs.Server, landing: Path, report: Path, fed: Fed, said: str) -> int:
    """Count what was written, and compare with what was fed and what the job said."""
    displaced = sum(int(number.replace(",", "")) for number in _ARRIVALS.findall(said))
    found = Verification(place_of(server), Rules("i", ("d", "n"), "t", displaced), landing.glob("*.jsonl"))
    print(f"{found}: {fed.records:,} records, {fed.late:,} of them late, {fed.displaced:,} beyond that")
    totals = json.loads(report.read_text()) if report.exists() else {}
    says = tuple(totals.get(name) for name in ("records_in", "records_listed", "dead_letters"))
    if says != (found.lines, fed.records, fed.files):
        found.problems.append(f"the job says {says} lines, records and dead letters")
    if displaced != fed.displaced:
        found.problems.append(f"{displaced} records count for their arrival, not the {fed.displaced} meant for it")
    print(found.verdict())
    return 1 if found.problems else 0


def main(arguments: list[str] | None = None) -> int:
    """Run it and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description="Feed the streaming job, then count.")
    parser.add_argument("--seconds", type=float, default=600.0, help="of feeding (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="of what is random in the records (default: 1)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, seaweedfs.seaweedfs("soak") as server:
        return run(server, Path(folder), options.seconds, options.seed)


if __name__ == "__main__":
    sys.exit(main())
