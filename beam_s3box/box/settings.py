"""The arguments that `S3Box(...)` alone takes, turned into what every write takes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, Final

from beam_s3box.checks import check_whole
from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.stores import Credentials, S3Settings, Store, open_store, warn_of_missing_scheme
from beam_s3box.stores.s3_settings import s3_settings_of

DEFAULT_BUFFER_SIZE: Final = 10_000_000
"""Raw bytes of a shard, as in the older s3box: about 1 MB on S3, the minimum that Redshift's documentation advises."""

DEFAULT_UPLOAD_CONCURRENCY: Final = 4
"""Uploads at a time: one stream, packed in Python, never needs more."""


def box_store(
    destination: str | os.PathLike[str] | Store | None,
    bucket: str | None,
    prefix: str | None,
    settings: S3Settings,
    credentials: Callable[[], Credentials] | None,
) -> Store:
    """Return the store that a destination or a bucket names.

    Raises:
      ConfigurationError: both are given, or neither.
    """
    if destination is None and not bucket:
        raise ConfigurationError(f"bucket={bucket!r} is empty: give S3Box('s3://bucket/prefix') or S3Box(bucket='...')")
    if destination is None:
        if not isinstance(bucket, str) or "/" in bucket:
            raise ConfigurationError(
                f"bucket={bucket!r} must be the name of a bucket; give what follows a '/' as prefix"
            )
        destination = f"s3://{bucket}/{prefix or ''}"
    elif bucket is not None or prefix is not None:
        raise ConfigurationError(
            f"destination={destination!r} and bucket={bucket!r}, prefix={prefix!r} are mutually exclusive: give one"
        )
    return open_store(warn_of_missing_scheme(destination), settings, credentials)


def box_credentials(
    access_key_id: str | None, secret_access_key: str | None, session_token: str | None
) -> Callable[[], Credentials] | None:
    """Return a function that returns the keys, or None to leave it to boto3: environment, profile, role.

    Raises:
      ConfigurationError: one of the keys is given without the other, or is not valid; no value is shown.
    """
    if access_key_id is None and secret_access_key is None:
        if session_token is not None:
            raise ConfigurationError("aws_session_token needs aws_access_key_id and aws_secret_access_key as well")
        return None
    if access_key_id is None or secret_access_key is None:
        given, missing = "aws_access_key_id", "aws_secret_access_key"
        if access_key_id is None:
            given, missing = missing, given
        raise ConfigurationError(
            f"{given} is given and {missing} is not: give both, or neither to let boto3 find the keys"
        )
    found = Credentials(access_key_id, secret_access_key, session_token)
    return lambda: found


def box_s3_settings(s3: S3Settings | None, region: str | None, endpoint_url: str | None) -> S3Settings:
    """Return the settings of S3 with region and endpoint, which may be given separately."""
    given = {name: value for name, value in (("region", region), ("endpoint_url", endpoint_url)) if value is not None}
    return dataclasses.replace(s3_settings_of(s3), **given)  # type: ignore[arg-type]


def box_limits(buffer_size: int, max_object_bytes: int | None, max_records: int | None) -> StreamLimits:
    """Return the limits of a shard.

    Raises:
      ConfigurationError: a limit is out of range.
    """
    check_whole("buffer_size", buffer_size, 1)
    limits: dict[str, Any] = {"max_raw_bytes": buffer_size, "max_records": max_records, "max_seconds": None}
    if max_object_bytes is not None:
        limits["max_object_bytes"] = max_object_bytes
    return StreamLimits(**limits)
