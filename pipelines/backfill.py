r"""Write files of records to S3 as gzip JSON shards by stream, with the manifests that Redshift's COPY loads.

    python -m pipelines.backfill --input='data/*.jsonl.gz' --output=s3://bucket/prefix \
        --domain_field=carrier --namespace_field=origin

Exit codes: 0 every record is in a listed shard or among the dead letters; 1 the pipeline failed, or records are
missing; 2 nothing was begun, because an option, the input or the destination can't work; 130, 143 and
129: interrupted by ^C, SIGTERM, SIGHUP; manifests are written at the end, so that what it had uploaded is not listed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipelines.entry import run_command
from pipelines.tool_logging import ToolLog


def main(argv: Sequence[str] | None = None) -> int:
    """Run the backfill and return its exit code.

    Args:
      argv: options without the program's name; default: the command line's.
    """
    return run_command(_run, argv)


def _run(arguments: Sequence[str], log: ToolLog) -> int:
    from pipelines.backfill_job import run

    return run(arguments, log)


if __name__ == "__main__":
    sys.exit(main())
