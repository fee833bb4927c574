"""One pipeline in a process of its own: `python -m tools.bench_stream.cases WRITER PATH DESTINATION` prints JSON."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import pathlib
import resource
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam

from beam_s3box.metrics import PROGRESS
from tools.bench.measure import peak_bytes
from tools.bench_stream.source import ReadStream
from tools.bench_stream.tally import TALLY
from tools.bench_stream.writers import WRITERS
from tools.flink.job_server import FlinkJobs, flink_local
from tools.prism import Prism, prism_server

ENGINES = ("fn_api", "flink", "prism")


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
    # Beam tells of its own faults and of a job's end on stderr, which a failure shows
    logging.getLogger().setLevel(logging.ERROR)
    with engine_options(arguments.engine, arguments.endpoint) as options:
        run(arguments.writer, arguments.path, arguments.destination, arguments.block_lines, [*options, *more])
    print(json.dumps(measured()))


@contextlib.contextmanager
def engine_options(engine: str, endpoint: str | None) -> Iterator[list[str]]:
    """Give the options of a pipeline on an engine: the one at the endpoint, or one that ends here."""
    if engine == "fn_api":
        yield ["--runner=FnApiRunner"]
    elif endpoint is not None:
        yield _jobs(engine, endpoint).options(streaming=True)
    else:
        with tempfile.TemporaryDirectory() as folder, server(engine, pathlib.Path(folder)) as found:
            yield found.options(streaming=True)


def server(engine: str, folder: pathlib.Path) -> contextlib.AbstractContextManager[FlinkJobs | Prism]:
    """Start an engine that has a job service."""
    return flink_local(folder) if engine == "flink" else prism_server(folder)


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


def _jobs(engine: str, endpoint: str) -> FlinkJobs | Prism:
    return FlinkJobs(endpoint) if engine == "flink" else Prism(endpoint)


if __name__ == "__main__":
    main()
