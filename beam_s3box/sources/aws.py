"""Clients of boto3 for queues and streams, and their errors as ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from beam_s3box.errors import ConfigurationError, SourceError, TransientSourceError

_T = TypeVar("_T")

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 20
_ATTEMPTS: Final = {"kinesis": 1}
"""Of boto3, for one call, by service. Shards have waits of their own; of the others three may be an accident."""

_OTHER_ATTEMPTS: Final = 3

_TRANSIENT_CODES: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalFailureException",
        "KMSThrottlingException",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NETWORK_CLASSES: Final = frozenset({"HTTPClientError", "ConnectionError"})
_DENIED: Final = "allow it for these credentials, or use others"
_KEYS: Final = "correct the credentials: AWS_* variables, a profile or a role"
_ADVICE: Final = {
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "ExpiredToken": "get new credentials, or use a role, whose credentials renew themselves",
    "ExpiredTokenException": "get new credentials, or use a role, whose credentials renew themselves",
    "InvalidAccessKeyId": _KEYS,
    "InvalidClientTokenId": _KEYS,
    "InvalidSignatureException": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "UnrecognizedClientException": _KEYS,
    "NoCredentialsError": "set credentials in the environment, a profile or a role",
    "NoRegionError": "give the region, or set AWS_REGION",
}
_MAX_DETAIL_CHARACTERS: Final = 300


class AwsSettings(NamedTuple):
    """How a service of AWS is reached; credentials are found by boto3 where a client is made.

    Attributes:
      region: of the service; None for that of boto3.
      endpoint_url: of a server that is not AWS; None for AWS.
    """

    region: str | None = None
    endpoint_url: str | None = None


_CLIENTS: dict[tuple[int, str, AwsSettings], Any] = {}
_LOCK = threading.Lock()


def client_of(service: str, settings: AwsSettings) -> Any:
    """Return this process's client of a service; it may be used by many threads.

    Raises:
      ConfigurationError: boto3 does not accept the settings.
    """
    name = os.getpid(), service, settings
    with _LOCK:
        if name not in _CLIENTS:
            _CLIENTS[name] = _make_client(service, settings)
        return _CLIENTS[name]


def _make_client(service: str, settings: AwsSettings) -> Any:
    import boto3
    import botocore.config
    from botocore.exceptions import BotoCoreError

    config = botocore.config.Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": _ATTEMPTS.get(service, _OTHER_ATTEMPTS), "mode": "standard"},
    )
    # its types know all services, and not that the name is one of them
    session: Any = boto3.Session()
    try:
        return session.client(service, region_name=settings.region, endpoint_url=settings.endpoint_url, config=config)
    except (ValueError, BotoCoreError) as exc:
        # an invalid endpoint or region, which may come from the environment
        advice = _ADVICE.get(type(exc).__name__, "correct region and endpoint")
        raise ConfigurationError(f"can't create a client of {service}: {exc}; {advice}") from exc


def called(call: Callable[[], _T], what: str, advice: Mapping[str, str] | None = None) -> _T:
    """Return what a call of boto3 returns.

    Args:
      call: makes it.
      what: the operation and the thing that it is of, for the message.
      advice: the fix, by the service's own codes of errors.

    Raises:
      TransientSourceError: another attempt may help.
      SourceError: another attempt does not help; its cause is boto3's error, see `code_of`.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except ClientError as exc:
        code, status = code_of(exc), exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        text = str(exc.response.get("Error", {}).get("Message") or "")
        kind = TransientSourceError if code in _TRANSIENT_CODES or status >= 500 else SourceError
        raise kind(_sentence(what, code, text, advice)) from exc
    except BotoCoreError as exc:
        names = [base.__name__ for base in type(exc).__mro__]
        is_unreachable = not _NETWORK_CLASSES.isdisjoint(names)
        raise (TransientSourceError if is_unreachable else SourceError)(
            _sentence(what, names[0], str(exc), advice)
        ) from exc


def code_of(error: BaseException | None) -> str:
    """Return the service's code for an error of boto3; empty if it is none of a response."""
    # a timeout has the attribute, too, and it is None
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or "").rpartition(".")[2]


def _sentence(what: str, code: str, text: str, advice: Mapping[str, str] | None) -> str:
    fix = (advice or {}).get(code) or _ADVICE.get(code)
    shown = " ".join(text.split())[:_MAX_DETAIL_CHARACTERS]
    return ": ".join(part for part in (what, code, shown) if part) + (f"; {fix}" if fix else "")
