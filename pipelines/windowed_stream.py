r"""A stream of events, written in windows of ten seconds: a short pipeline to copy and change.

    python -m pipelines.windowed_stream --destination=s3://bucket/events --runner=FlinkRunner --streaming

Each window has shards and manifests of its own, written when the window ends. Replace `ReadEvents` by your source.
Options that are not listed by --help are Beam's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows

from beam_s3box import MiB, StreamLimits, WriteToS3Box


class ReadEvents(beam.PTransform):
    """Makes an event every tenth of a second; the time of an event is its timestamp.

    Args:
      seconds: after which it ends; None for an endless stream.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self._seconds = seconds

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[dict[str, object]]:
        """Return the events."""
        start = time.time()
        until = {} if self._seconds is None else {"stop_timestamp": start + self._seconds}
        return (
            begin
            | "Tick" >> PeriodicImpulse(start_timestamp=start, fire_interval=0.1, **until)
            | "MakeEvent" >> beam.Map(make_event)
        )


def make_event(tick: float) -> dict[str, object]:
    """Return the event of a moment, in seconds since the epoch."""
    return {"app": "shop", "kind": "click" if int(tick * 10) % 3 else "order", "at": float(tick)}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the pipeline and wait for its end.

    Args:
      argv: options; default: the command line's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--destination", required=True, metavar="s3://BUCKET/PREFIX")
    parser.add_argument("--stop_after", type=float, metavar="SECONDS", help="default: runs until it is cancelled")
    given, of_beam = parser.parse_known_args(argv)
    options = PipelineOptions(of_beam)
    options.view_as(StandardOptions).streaming = True
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | "ReadEvents" >> ReadEvents(given.stop_after)
            | "WriteToS3Box"
            >> WriteToS3Box(
                given.destination,
                domain_field="app",
                namespace_field="kind",
                windowing=FixedWindows(10),
                limits=StreamLimits(max_object_bytes=16 * MiB, max_seconds=60),
            )
        )


if __name__ == "__main__":
    main()
