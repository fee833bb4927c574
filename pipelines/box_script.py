"""JSON lines from standard input to S3, as one stream, without Beam: a short script to copy and change.

zcat events.jsonl.gz | python -m pipelines.box_script s3://bucket/events
"""

from __future__ import annotations

import sys

from beam_s3box import S3Box


def main() -> None:
    """Pack all lines, upload them and write two manifests for Redshift's COPY."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m pipelines.box_script s3://BUCKET/PREFIX")
    # an exception within the block uploads nothing more and lists nothing
    with S3Box(sys.argv[1], domain="web", namespace="events") as box:
        records = box.pack_many(sys.stdin.buffer)
    manifests = box.create_manifests(count=2)
    sys.stdout.write(f"{records} records; COPY loads {' and '.join(manifests)}\n")


if __name__ == "__main__":
    main()
