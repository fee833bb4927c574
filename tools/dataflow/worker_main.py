"""Do what a Dataflow worker does with a staged pipeline: load it with nothing of ours but the staged package.

    python -P tools/dataflow/worker.py PIPELINE MAIN_SESSION [OPTIONS]

Prints as JSON where the package was found, and the module of each step's function. With options, as JSON, it also runs
the pipeline on Beam's local runner. It imports no other module of this folder: a worker has none of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import apache_beam as beam
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.portability.api import beam_runner_api_pb2


class _Modules(PipelineVisitor):
    def __init__(self) -> None:
        self.by_step: dict[str, str] = {}

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        if isinstance(transform_node.transform, beam.ParDo):
            self.by_step[transform_node.full_label] = type(transform_node.transform.fn).__module__


def main(pipeline_path: str, session_path: str, options: str | None = None) -> None:
    """Load the pipeline, run it if there are options, and say what was found."""
    pickler.load_session(session_path)
    described = beam_runner_api_pb2.Pipeline.FromString(Path(pipeline_path).read_bytes())
    given = PipelineOptions.from_dictionary(json.loads(options or "{}"))
    pipeline = beam.Pipeline.from_runner_api(described, "FnApiRunner", given)
    modules = _Modules()
    pipeline.visit(modules)
    if options is not None:
        pipeline.run().wait_until_finish()
    import beam_s3box

    print(json.dumps({"package": beam_s3box.__file__, "modules": modules.by_step}))


if __name__ == "__main__":
    main(*sys.argv[1:])
