r"""Write files of JSON lines to S3 as they appear: gzip JSON shards by stream, and manifests for Redshift's COPY.

    s3box stream --input='s3://bucket/landing/*.jsonl' --destination=s3://bucket/prefix \
        --domain_field=carrier --namespace_field=origin --timestamp_field=time --window=fixed:300 \
        --runner=FlinkRunner --flink_master=localhost:8081

It runs until it is drained, cancelled or fails; with --stop_after it ends on its own.

Exit codes: 0 every record is in a listed shard or among the dead letters, or the job runs on elsewhere, or its template
is written; 1 the pipeline failed, or records are missing; 2 nothing was started, because an option, the input or the
destination can't work; 130, 143 and 129: interrupted by ^C, SIGTERM, SIGHUP.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from beam_s3box.cli.main import main as s3box


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return its exit code.

    Args:
      argv: options without the program's name; default: the command line's.
    """
    if argv is None:
        sys.argv.insert(1, "stream")
        return s3box()
    return s3box(["stream", *argv])


if __name__ == "__main__":
    sys.exit(main())
