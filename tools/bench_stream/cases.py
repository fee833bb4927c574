"""One pipeline in a process of its own: `python -m tools.bench_stream.cases WRITER PATH DESTINATION` prints JSON."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import pathlib
import resource
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from beam_s3box.metrics import PROGRESS
from tools.bench.measure import peak_bytes
from tools.bench_stream.engines import ENGINES, engine_options
from tools.bench_stream.source import ReadStream
from tools.bench_stream.tally import TALLY
from tools.bench_stream.writers import WRITERS


def main() -> None:
    """Run one pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("writer", choices=WRITERS)
    parser.add_argument("path", type=pathlib.Path)
    parser.add_argument("destination")
    parser.add_argument("--engine", choices=ENGINES, default="fn_api")
    parser.add_argument("--endpoint", help="of the engine's job service (default: an engine is started)")
    parser.add_argument("--block_lines", type=int, help="of the file, in one element (default: each is an element)")
    arguments, more = parser.parse_known_args()
    # Beam reports its own faults and a job's end on stderr, which a failure shows
    logging.getLogger().setLevel(logging.ERROR)
    with engine_options(arguments.engine, arguments.endpoint) as options:
        run(arguments.writer, arguments.path, arguments.destination, arguments.block_lines, [*options, *more])
    print(json.dumps(measured()))


def run(writer: str, path: pathlib.Path, destination: str, block_lines: int | None, options: Sequence[str]) -> None:
    """Run a pipeline from the file to the destination; unbounded where the options say that it streams."""
    gc.collect()
    pipeline = beam.Pipeline(argv=list(options))
    lines = pipeline | "Read" >> ReadStream(path, block_lines, unbounded="--streaming" in options)
    WRITERS[writer](lines, destination)
    pipeline.run().wait_until_finish()


def measured() -> dict[str, Any]:
    """Return what the pipeline of this process did."""
    return {
        "seconds": TALLY.seconds,
        "records": TALLY.records,
        "peak_bytes": peak_bytes(),
        # of an engine that was started here and ended
        "engine_peak_bytes": peak_bytes(resource.RUSAGE_CHILDREN),
        "counts": PROGRESS.totals(),
    }


if __name__ == "__main__":
    main()
