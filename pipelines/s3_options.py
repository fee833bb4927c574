"""Options of S3 that Beam's own `--s3_*` options lack, and stores made from both."""

from __future__ import annotations

import argparse
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box.errors import ConfigurationError
from beam_s3box.stores.s3_settings import SSE, S3Settings
from beam_s3box.transforms.s3_options import settings_with_options

_DEFAULTS = S3Settings()


class S3WriteOptions(PipelineOptions):
    """How objects are written to S3; how it is reached and with which keys, Beam's S3Options say."""

    title = "S3: how objects are written"

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--s3_sse", choices=SSE, help="encryption by the server (default: the bucket's)")
        parser.add_argument("--s3_sse_kms_key_id", metavar="KEY", help="KMS key, with --s3_sse=aws:kms")
        parser.add_argument("--s3_storage_class", metavar="CLASS", help="as STANDARD_IA (default: the server's)")
        parser.add_argument("--s3_tags", metavar="K=V,K2=V2", help="tags of each object, at most 10")
        parser.add_argument("--s3_acl", metavar="ACL", help="as bucket-owner-full-control (default: the bucket's)")
        parser.add_argument("--s3_role_arn", metavar="ARN", help="role to assume for writing")
        parser.add_argument(
            "--s3_max_attempts",
            metavar="N",
            type=int,
            default=_DEFAULTS.max_attempts,
            help=f"attempts at a request, the first included (default: {_DEFAULTS.max_attempts})",
        )
        parser.add_argument(
            "--s3_concurrency",
            metavar="N",
            type=int,
            default=_DEFAULTS.concurrency,
            help="uploads at a time in each worker process, and parts at a time of one that is large "
            f"(default: {_DEFAULTS.concurrency})",
        )


def settings_of(options: PipelineOptions) -> S3Settings:
    """Return the settings of S3 for writing, from Beam's options and ours.

    Raises:
      ConfigurationError: a value that can't work.
    """
    given = options.view_as(S3WriteOptions)
    own: dict[str, Any] = {
        "role_arn": given.s3_role_arn,
        "sse": given.s3_sse,
        "sse_kms_key_id": given.s3_sse_kms_key_id,
        "storage_class": given.s3_storage_class,
        "tags": _tags(given.s3_tags),
        "acl": given.s3_acl,
        "max_attempts": given.s3_max_attempts,
        "concurrency": given.s3_concurrency,
    }
    return settings_with_options(S3Settings(**own), options.view_as(S3Options))


def reading_settings_of(options: PipelineOptions) -> S3Settings:
    """Return the settings of S3 with which Beam reads: as its own options say, and no role."""
    return settings_with_options(S3Settings(), options.view_as(S3Options))


def _tags(text: str | None) -> dict[str, str]:
    tags: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        name, equals, value = pair.partition("=")
        if not equals or not name or name in tags:
            raise ConfigurationError(f"--s3_tags={text!r} must be K=V,K2=V2, each name once; see {pair!r}")
        tags[name] = value
    return tags
