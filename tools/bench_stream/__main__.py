"""Print how fast the stateful path is, compared with GroupIntoBatches and the source alone; saved as `stream.json`.

Every pipeline runs in a process of its own, its workers with it, and writes to the same real S3 server. A round is
ours, then GroupIntoBatches with gzip and a PUT for each batch, then the source alone; figures are medians of the
rounds, with their ranges. Time goes from the first record to the last object. On Flink bundles are of 1,000 elements:
where each is a block with one line of every stream, a bundle has 1,000 records of each; where each is a line, few.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import pathlib
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tools.bench.data import make_lines
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE, json_of, machine, use
from tools.bench_stream.engines import ENGINES
from tools.bench_stream.figures import RATIO_GOAL, STATE_GOAL, Figure, Round, Run, check, rate, summary
from tools.bench_stream.growth import GOAL, growths
from tools.bench_stream.kafka import RATE_GOAL, SHARE_GOAL, measure_kafka, show_kafka
from tools.flink.jars import NEWEST
from tools.flink.job_server import flink_local
from tools.processes import MissingToolError
from tools.seaweedfs import seaweedfs

STREAMS = 35
MANY_STREAMS = 5_000
MANY_GOAL = 4_000
"""Records a second on Flink, with so many streams open."""

RECORDS = 336_000
FEWER_RECORDS = 112_000
"""Where each takes longer."""


class Scene(NamedTuple):
    """Where the three pipelines are compared.

    Attributes:
      name: of it.
      engine: of `cases.ENGINES`.
      block_lines: lines of an element; None: each line is one.
      records: how many.
      state_goal: whether bundles are such that the goal for state traffic applies.
    """

    name: str
    engine: str
    block_lines: int | None
    records: int
    state_goal: bool


SCENES = (
    Scene("FnApiRunner, blocks of lines", "fn_api", STREAMS, RECORDS, True),
    Scene("Flink local, blocks of lines", "flink", STREAMS, RECORDS, True),
    Scene("Flink local, line by line", "flink", None, FEWER_RECORDS, False),
)


class Bench:
    """Runs pipelines of one session.

    Args:
      bucket: of the S3 server.
      flink: endpoint of a job service that is warm.
    """

    def __init__(self, bucket: str, flink: str) -> None:
        self._bucket = bucket
        self._flink = flink

    def rounds(self, scene: Scene, count: int) -> list[Round]:
        """Run a scene that many times."""
        path = data_of(scene.records, STREAMS)
        # the first pipeline of a kind on an engine is slower than all others
        self.run("read", path, scene)
        return [Round(*(self.run(writer, path, scene) for writer in Round._fields)) for _ in range(count)]

    def run(self, writer: str, path: pathlib.Path, scene: Scene) -> Run:
        """Run one pipeline."""
        endpoint = ("--endpoint", self._flink) if scene.engine == "flink" else ()
        return check(json_of(self._command(writer, path, scene.engine, scene.block_lines, endpoint)), scene.records)

    def many(self, engine: str) -> Run:
        """Run ours with all of the many streams open until the end, on its own engine, and report its memory."""
        path = data_of(FEWER_RECORDS, MANY_STREAMS)
        return check(json_of(self._command("ours", path, engine, STREAMS, ())), FEWER_RECORDS)

    def _command(
        self, writer: str, path: pathlib.Path, engine: str, block_lines: int | None, more: Sequence[str]
    ) -> list[str]:
        destination = f"s3://{self._bucket}/{writer}-{uuid.uuid4().hex}"
        command = [sys.executable, "-m", "tools.bench_stream.cases", writer, str(path), destination]
        block = ("--block_lines", str(block_lines)) if block_lines is not None else ()
        return [*command, "--engine", engine, *block, *more]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of each scene (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of each scene, and neither memory nor growth")
    parser.add_argument(
        "--many_on",
        nargs="*",
        choices=ENGINES,
        default=["fn_api", "flink"],
        help=f"where {MANY_STREAMS:,} streams are open at once (default: fn_api flink; prism needs Go)",
    )
    parser.add_argument(
        "--growth_seconds",
        type=float,
        default=120,
        metavar="SECONDS",
        help="to measure how the state of an idle job grows on Flink (default: %(default)g; 0 to leave it out)",
    )
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    rounds, many_on, growth = arguments.rounds, arguments.many_on, arguments.growth_seconds
    if arguments.quick:
        rounds, many_on, growth = 1, [], 0.0
    try:
        results = measure(rounds, many_on, growth)
    except MissingToolError as exc:
        raise SystemExit(str(exc)) from exc
    (CACHE / "stream.json").write_text(json.dumps(results, indent=2) + "\n")
    show(results)
    report("streams", goals_of(results))


def goals_of(results: dict[str, Any]) -> Iterator[Line]:
    """Yield what has a goal, for the summary of `make bench`."""
    for scene in SCENES:
        found = list(results["scenes"][scene.name]["speed_up"])
        yield Line(f"{scene.name}, ours : GroupIntoBatches, speed", found, RATIO_GOAL, at_least=True)
    for engine, run in results["many_streams"].items():
        goal = MANY_GOAL if engine == "flink" else None
        yield Line(f"{engine}, {MANY_STREAMS:,} streams open, records a second", [rate(run)], goal, at_least=True)
    ours, share = (list(results["kafka"][name]) for name in ("ours", "share"))
    yield Line("Kafka's backlog on Prism, records a second", ours, RATE_GOAL, at_least=True)
    yield Line("… of the time, in which the source works", share, SHARE_GOAL)
    for source, size in results["state_bytes_a_day"].items():
        yield Line(f"state of an idle job on Flink, {source}, MB a day", [size / 1e6], GOAL / 1e6)


def measure(rounds: int, many_on: Sequence[str], growth_seconds: float) -> dict[str, Any]:
    """Return all figures."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(seaweedfs("bench"))
        use(server)
        with flink_local(folder) as flink:
            bench = Bench(server.bucket, flink.job_endpoint)
            scenes = {scene.name: summary(bench.rounds(scene, rounds)) for scene in SCENES}
        many = {engine: bench.many(engine) for engine in many_on}
        kafka = measure_kafka(server.bucket, rounds)
        grown = grown_of(f"s3://{server.bucket}/growth", growth_seconds) if growth_seconds else {}
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "rounds": rounds,
        "scenes": scenes,
        "many_streams": many,
        "kafka": kafka,
        "state_bytes_a_day": grown,
    }


def grown_of(destination: str, seconds: float) -> dict[str, float]:
    """Return how many bytes the state of an idle job grows in a day on Flink, by its source."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = growths(pathlib.Path(folder), destination, seconds)
        return {source: growth.bytes_a_day for source, growth in found.items()}


def data_of(records: int, streams: int) -> pathlib.Path:
    """Return a file of so many records; those of the streams take turns."""
    return make_lines(CACHE / f"streams-{streams}-of-{records}.jsonl", records, streams)


def show(results: dict[str, Any]) -> None:
    """Print the tables."""
    console = Console(width=110)
    console.print(f"{results['machine']}; {STREAMS} streams; real SeaweedFS; rounds: {results['rounds']}")
    table = Table("", "goal", "median", "from - to", "met")
    for scene in SCENES:
        for row in rows_of(scene, results["scenes"][scene.name]):
            table.add_row(*row)
        table.add_section()
    console.print(table)
    show_many(results["many_streams"], console)
    show_kafka(results["kafka"], console)
    show_growth(results["state_bytes_a_day"], console)


def rows_of(scene: Scene, figures: dict[str, Figure]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the lines of a scene: what it is, the goal, the median, the range, whether the goal is met."""
    for name, label in (
        ("ours", "records a second"),
        ("theirs", "with GroupIntoBatches"),
        ("read", "the source alone"),
    ):
        yield line(label if name != "ours" else f"{scene.name}: {label}", figures[name], ",.0f")
    speed_up = figures["speed_up"]
    goal = f">= {RATIO_GOAL:g}", yes(speed_up.median >= RATIO_GOAL)
    yield line("ours : GroupIntoBatches", speed_up, ".2f", *goal)
    yield line("… without the source's time", figures["without_source"], ".2f")
    yield line("ours : the source alone", figures["share_of_read"], ".2f")
    state = figures["state"]
    goal = (f"< {STATE_GOAL:g}", yes(state.median < STATE_GOAL)) if scene.state_goal else ("", "")
    yield line("state reads and writes a record", state, ".4f", *goal)


def line(label: str, figure: Figure, form: str, goal: str = "", met: str = "") -> tuple[str, str, str, str, str]:
    """Return a line of the table."""
    median, low, high = (format(value, form) for value in figure)
    return label, goal, median, f"{low} - {high}", met


def yes(met: bool) -> str:
    """Return whether a goal is met, as the other benches say it."""
    return "yes" if met else "NO"


def show_many(many: dict[str, Run], console: Console) -> None:
    """Print what many open streams take."""
    if not many:
        return
    table = Table(
        f"{MANY_STREAMS:,} streams open at once", "records a second", "seconds", "peak of the worker", "of the engine"
    )
    for engine, run in many.items():
        own = f"{run['engine_peak_bytes'] / 1e6:.0f} MB" if run["engine_peak_bytes"] else "the same process"
        worker = f"{run['peak_bytes'] / 1e6:.0f} MB"
        table.add_row(engine, f"{rate(run):,.0f}", f"{run['seconds']:.1f}", worker, own)
    console.print(table)


def show_growth(grown: dict[str, float], console: Console) -> None:
    """Print how much the state of an idle job grows."""
    if not grown:
        return
    table = Table(f"idle job on Flink, Beam's runner {NEWEST}: source", "goal", "growth of state, MB a day", "met")
    for source, size in grown.items():
        table.add_row(source, f"< {GOAL / 1e6:.0f}", f"{size / 1e6:.1f}", yes(size < GOAL))
    console.print(table)


if __name__ == "__main__":
    main()
