"""Options that name a queue of S3's events."""

from __future__ import annotations

import argparse


def add_queue_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a queue of S3's events."""
    parser.add_argument(
        "--sqs_queue",
        metavar="URL",
        help="read the objects that events of S3 in this queue of SQS name, as they are created, instead of looking "
        "for files; messages are deleted when what they led to is committed",
    )
    parser.add_argument("--sqs_region", metavar="REGION", help="of the queue (default: that in its URL, else boto3's)")
    parser.add_argument("--sqs_endpoint_url", metavar="URL", help="of SQS, where it is not AWS's own")
