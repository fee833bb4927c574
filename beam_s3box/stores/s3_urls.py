"""URLs of S3: a bucket and a prefix."""

from __future__ import annotations

import re

from beam_s3box.errors import ConfigurationError
from beam_s3box.stores.base import check_key

_URL = re.compile(r"s3://([^/]*)(?:/(.*))?", re.DOTALL)
_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


def parse_url(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix of a URL; the prefix may be empty.

    Raises:
      ConfigurationError: it is not an `s3://` URL, or its bucket or prefix can't be one.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"destination={url!r} must be s3://bucket/prefix")
    bucket, prefix = match[1], (match[2] or "").strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise ConfigurationError(
            f"destination={url!r} has the bucket {bucket!r}: 3 to 63 lower-case letters, digits, '-' and '.' name a "
            "bucket, beginning and ending with a letter or digit"
        )
    if not prefix:
        return bucket, ""
    try:
        return bucket, check_key(prefix)
    except ConfigurationError as exc:
        raise ConfigurationError(f"destination={url!r} has a prefix that no key can have: {exc}") from exc
