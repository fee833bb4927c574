"""Options of S3: how it is reached, with which keys, and how objects are written.

Those that say how it is reached are named as Beam names its own, so that both command lines take the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from beam_s3box.cli.options.parser import Section
from beam_s3box.cli.options.values import TRUTHS, seconds, truth
from beam_s3box.errors import ConfigurationError
from beam_s3box.stores.s3_settings import SSE, Credentials, S3Settings

_REACHING_TITLE: Final = "S3: how it is reached, and with which keys (else AWS_* and boto3's chain)"

_DEFAULTS = S3Settings()


def add_s3_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of all requests to a destination, whether they write or read, which Beam does not have."""
    parser.add_argument(
        "--s3_role_arn", metavar="ARN", help="role to assume at the destination; input is read without it"
    )
    parser.add_argument(
        "--s3_retry_seconds",
        metavar="SECONDS",
        type=seconds(positive=True),
        default=_DEFAULTS.retry_seconds,
        help=f"how long a request that fails for the moment is repeated (default: {_DEFAULTS.retry_seconds:g})",
    )
    parser.add_argument(
        "--s3_max_attempts",
        metavar="N",
        type=int,
        default=_DEFAULTS.max_attempts,
        help=f"attempts at a request, the first included, within that time (default: {_DEFAULTS.max_attempts})",
    )


def add_s3_writing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how objects are written."""
    parser.add_argument("--s3_sse", choices=SSE, help="encryption by the server (default: the bucket's)")
    parser.add_argument("--s3_sse_kms_key_id", metavar="KEY", help="KMS key, with --s3_sse=aws:kms")
    parser.add_argument("--s3_storage_class", metavar="CLASS", help="as STANDARD_IA (default: the server's)")
    parser.add_argument("--s3_tags", metavar="K=V,K2=V2", help="tags of each object, at most 10")
    parser.add_argument("--s3_acl", metavar="ACL", help="as bucket-owner-full-control (default: the bucket's)")
    add_s3_request_arguments(parser)
    parser.add_argument(
        "--s3_conditional_writes",
        metavar="BOOL",
        # without a value, too: so Beam hands options that are true to the workers of Dataflow
        nargs="?",
        const=True,
        type=truth,
        default=True,
        help="false for a server that refuses or ignores If-None-Match: claims and manifests are then looked for "
        "before they are written, which is not as sure (default: true)",
    )
    parser.add_argument(
        "--s3_checksums",
        metavar="BOOL",
        # without a value, too: so Beam hands options that are true to the workers of Dataflow
        nargs="?",
        const=True,
        type=truth,
        default=True,
        help="false for a server that refuses SHA-256 checksums in headers (default: true)",
    )
    parser.add_argument(
        "--s3_concurrency",
        metavar="N",
        type=int,
        default=_DEFAULTS.concurrency,
        help="uploads at a time in each worker process, and parts at a time of one that is large "
        f"(default: {_DEFAULTS.concurrency})",
    )


def add_s3_reaching_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how S3 is reached; a pipeline has them from Beam."""
    parser.add_argument("--s3_endpoint_url", metavar="URL", help="another server that speaks S3 (default: AWS)")
    parser.add_argument("--s3_region_name", metavar="REGION", help="of the bucket (default: what boto3 finds)")
    parser.add_argument("--s3_access_key_id", metavar="ID", help="access key; better set AWS_ACCESS_KEY_ID")
    parser.add_argument(
        "--s3_secret_access_key",
        metavar="KEY",
        help="its secret key; better set AWS_SECRET_ACCESS_KEY: others see a command line",
    )
    parser.add_argument("--s3_session_token", metavar="TOKEN", help="session token of temporary keys")
    parser.add_argument(
        "--s3_verify",
        metavar="BOOL|FILE",
        help="whether the server's certificate is checked, or a file of certificates to trust (default: true)",
    )
    parser.add_argument(
        "--s3_disable_ssl", action="store_true", default=False, help="speak to AWS without TLS (default: with it)"
    )


def add_s3_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all options of a command that writes no objects."""
    add_s3_reaching_arguments(parser)
    add_s3_request_arguments(parser)


S3_WRITING: Final = Section("S3: how objects are written", add_s3_writing_arguments)
S3_REACHING: Final = Section(_REACHING_TITLE, add_s3_reaching_arguments)
S3_READING: Final = Section(_REACHING_TITLE, add_s3_reading_arguments)


def settings_of(given: argparse.Namespace) -> S3Settings:
    """Return all settings of S3; keys stay out of them.

    Raises:
      ConfigurationError: a value that can't work.
    """
    return _settings(
        given,
        **_of_requests(given),
        sse=given.s3_sse,
        sse_kms_key_id=given.s3_sse_kms_key_id,
        storage_class=given.s3_storage_class,
        tags=_tags(given.s3_tags),
        acl=given.s3_acl,
        conditional_writes=given.s3_conditional_writes,
        checksums=given.s3_checksums,
        concurrency=given.s3_concurrency,
    )


def reading_settings_of(given: argparse.Namespace) -> S3Settings:
    """Return the settings of a command that reads what was written; see `settings_of`."""
    return _settings(given, **_of_requests(given))


def input_settings_of(given: argparse.Namespace) -> S3Settings:
    """Return the settings with which input is read: without the role, as by Beam; see `settings_of`."""
    return _settings(given)


def _of_requests(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "role_arn": given.s3_role_arn,
        "retry_seconds": given.s3_retry_seconds,
        "max_attempts": given.s3_max_attempts,
    }


def _settings(given: argparse.Namespace, **others: Any) -> S3Settings:
    changes: dict[str, Any] = {}
    if given.s3_endpoint_url:
        changes["endpoint_url"] = given.s3_endpoint_url
    if given.s3_region_name:
        changes["region"] = given.s3_region_name
    if given.s3_verify is not None:
        changes["verify"] = TRUTHS.get(str(given.s3_verify).lower(), given.s3_verify)
    try:
        return S3Settings(use_ssl=not given.s3_disable_ssl, **others, **changes)
    except ConfigurationError as exc:
        # a setting is named without the prefix that options of S3 have
        text = str(exc)
        raise ConfigurationError(text if text.startswith("--") else f"options --s3_*: {text}") from exc


def credentials_of(given: argparse.Namespace) -> Callable[[], Credentials] | None:
    """Return the function that gives the keys, or None to leave them to boto3: environment, profile, role.

    Raises:
      ConfigurationError: one of the keys without the other; no value is shown.
    """
    key, secret, token = given.s3_access_key_id, given.s3_secret_access_key, given.s3_session_token
    if not key and not secret and not token:
        return None
    if not key or not secret:
        raise ConfigurationError(
            "--s3_access_key_id and --s3_secret_access_key go together: give both, or neither to let boto3 find the "
            "keys"
        )
    found = Credentials(key, secret, token)
    return lambda: found


def _tags(text: str | None) -> dict[str, str]:
    tags: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        name, equals, value = pair.partition("=")
        if not equals or not name or name in tags:
            raise ConfigurationError(f"--s3_tags={text!r} must be K=V,K2=V2, each name once; see {pair!r}")
        tags[name] = value
    return tags
