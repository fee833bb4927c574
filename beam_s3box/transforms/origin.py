"""What the record of a run says of the pipeline that writes it."""

from __future__ import annotations

import dataclasses

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from beam_s3box.engine.plan import WriteSpec
from beam_s3box.engine.run_record import RunOrigin
from beam_s3box.engine.run_settings import origin_of


def origin_in(pipeline: beam.Pipeline, spec: WriteSpec, command: RunOrigin) -> RunOrigin:
    """Return what writes a run.

    The options of a user's own pipeline are not in it: nobody knows which of them are secret.

    Args:
      pipeline: has the write.
      spec: of the write.
      command: of the job whose pipeline it is; empty for one of the user's.
    """
    own = origin_of(
        command.kind or "transform",
        spec,
        runner=type(pipeline.runner).__name__,
        job_name=pipeline.options.view_as(GoogleCloudOptions).job_name or "",
        parent=command.parent,
        input=command.input,
    )
    return dataclasses.replace(own, settings={**command.settings, **own.settings})
