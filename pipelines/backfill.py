r"""Write files of records to S3 as gzip JSON shards by stream, with the manifests that Redshift's COPY loads.

    s3box backfill --input='data/*.jsonl.gz' --destination=s3://bucket/prefix \
        --domain_field=carrier --namespace_field=origin

Exit codes: 0 every record is in a listed shard or among the dead letters; 1 the pipeline failed, or records are
missing; 2 nothing was started, because an option, the input or the destination can't work; 130, 143 and
129: interrupted by ^C, SIGTERM, SIGHUP; manifests are written at the end, so that what it had uploaded is not listed.
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
        sys.argv.insert(1, "backfill")
        return s3box()
    return s3box(["backfill", *argv])


if __name__ == "__main__":
    sys.exit(main())
