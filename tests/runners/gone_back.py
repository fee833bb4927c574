"""The streaming job that goes back to its beginning: `python -m tests.runners.gone_back OPTIONS` runs it twice.

It is the same pipeline both times, run id and all, as with a runner that restores its first checkpoint.
"""

from __future__ import annotations

import sys

from beam_s3box.jobs.run.logging import job_logging
from beam_s3box.jobs.stream import PARSER, prepare
from tests.runners.engines import run_to_end


def main(*arguments: str) -> None:
    """Run the job that the options describe, and run it again."""
    with job_logging() as log:
        job = prepare(PARSER.parse(arguments), log)
        for _ in range(2):
            run_to_end(job.pipeline)


if __name__ == "__main__":
    main(*sys.argv[1:])
