"""What is played: each way to write, on each engine that takes it."""

from __future__ import annotations

import functools
from pathlib import Path

from tools.chaos.attempts import RUN_ID, Attempts
from tools.chaos.boxes import Boxes
from tools.chaos.engines import Flink, OwnPrism, Spark
from tools.chaos.jobs import AttemptsOn, BackfillOn, Lazy, StreamOn
from tools.chaos.loads import Loads
from tools.chaos.streamer import Streamer
from tools.chaos.world import Scenario
from tools.flink.jars import FLINK, Beam

_ON_S3 = ("kill", "kill", "stop", "replace", "replace", "clock jump", "S3 stop", "S3 kill")
_IN_FOLDER = ("disk full", "disk full", "kill", "stop", "clock jump")
_ON_FLINK = ("kill", "stop", "replace", "JobManager kill", "JobManager kill", "JobManager stop", "S3 stop")
_ON_PRISM = ("kill", "kill", "stop", "replace", "Prism stop", "Prism kill", "S3 stop")


def scenarios() -> list[Scenario]:
    """Return all scenarios, those that start fastest first."""
    prism, spark = Lazy(OwnPrism), Lazy(Spark)
    flinks: dict[Beam, Lazy] = {beam: Lazy(functools.partial(Flink, beam=beam)) for beam in FLINK}
    return [
        Attempts("pack", 3_000, pack, _ON_S3),
        Attempts("pack-to-folder", 10_000, pack, _IN_FOLDER, folder=True),
        Boxes("s3box", 3_000, box, _ON_S3),
        Streamer(),
        Loads("load", 3_000, pack, _ON_S3),
        Attempts("backfill", 20_000, backfill, _ON_S3),
        AttemptsOn("backfill-prism", 20_000, backfill, _ON_PRISM, prism),
        StreamOn("stream-prism", prism),
        *(BackfillOn(f"backfill-flink-{beam}", flink) for beam, flink in flinks.items()),
        *(StreamOn(f"stream-flink-{beam}", flink) for beam, flink in flinks.items()),
        *(AttemptsOn(f"relaunch-flink-{beam}", 20_000, backfill, _ON_FLINK, flink) for beam, flink in flinks.items()),
        BackfillOn("backfill-spark", spark),
    ]


def pack(destination: str, source: Path) -> list[str]:
    """Return `s3box pack` of standard input."""
    return ["beam_s3box", "pack", *_write(destination), "--max_records=100"]


def box(destination: str, source: Path) -> list[str]:
    """Return a script that packs standard input."""
    return ["tools.chaos.boxes", destination]


def backfill(destination: str, source: Path) -> list[str]:
    """Return the backfill of a file."""
    return ["pipelines.backfill", f"--input={source}", *_write(destination), "--max_raw_bytes=20KB"]


def _write(destination: str) -> list[str]:
    streams = ["--domain_field=d", "--namespace_field=n"]
    return [f"--destination={destination}", *streams, f"--run_id={RUN_ID}", "--if_finished=skip", "--manifest_count=3"]
