"""Amazon MSK with IAM: librdkafka asks for tokens, which Amazon's own signer makes of the AWS identity found here."""

from __future__ import annotations

import functools
import os
import re
from typing import Any, Final

from beam_s3box.errors import ConfigurationError

_BROKER: Final = re.compile(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com")


def msk_iam_config(brokers: str, region: str | None) -> dict[str, Any]:
    """Return the properties of a client that logs in with the AWS identity of its process.

    Raises:
      ConfigurationError: the region is not known, or the signer is not installed.
    """
    found = region_of(brokers, region)
    _signer()
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "oauth_cb": functools.partial(_token, found),
    }


def region_of(brokers: str, region: str | None) -> str:
    """Return the region of a cluster.

    Raises:
      ConfigurationError: neither it nor the brokers' names nor the environment tell it.
    """
    match = _BROKER.search(brokers)
    found = (
        region or (match[1] if match else None) or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    )
    if not found:
        raise ConfigurationError(
            f"auth='msk-iam': brokers={brokers!r} do not name their region: set AWS_REGION where the readers run"
        )
    return found


def _token(region: str, properties: str) -> tuple[str, float]:
    """Return a token, and when it ends in seconds since 1970, as librdkafka asks for it."""
    token, expires_millis = _signer().generate_auth_token(region)
    return token, expires_millis / 1_000


def _signer() -> Any:
    try:
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    except ImportError as exc:
        raise ConfigurationError(
            "auth='msk-iam' needs a package that is not installed: pip install aws-msk-iam-sasl-signer-python"
        ) from exc
    return MSKAuthTokenProvider
