"""The one place where botocore's errors become ours, each with what to do about it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from beam_s3box.errors import (
    AccessError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    TransientStoreError,
)


class ConflictError(TransientStoreError):
    """Another writer was at the same key in the same moment; an upload in parts must begin anew."""


class UploadGoneError(StoreError):
    """An upload in parts that the server does not know (any more)."""


class _Rule(NamedTuple):
    kind: type[StoreError]
    advice: str | None = None


_KEYS = "correct the keys"
_CLOCK = "the clock of this machine is wrong: set it"
_REGION = "the bucket is in another region: set the region to the bucket's"
_EXPIRED = "the token has expired: get new credentials, or use a role, whose credentials renew themselves"
_DENIED = "these credentials may not do this: allow it for them, or use others"

_CODES = {
    "PreconditionFailed": _Rule(ObjectExistsError, "an object is already there"),
    "ConditionalRequestConflict": _Rule(ConflictError),
    "NoSuchKey": _Rule(ObjectNotFoundError, "there is no such object"),
    "NoSuchBucket": _Rule(ObjectNotFoundError, "no such bucket: create it or correct the destination"),
    "NoSuchUpload": _Rule(UploadGoneError, "the upload was completed or aborted, by somebody or by a lifecycle rule"),
    "AccessDenied": _Rule(AccessError, _DENIED),
    "AllAccessDisabled": _Rule(AccessError, _DENIED),
    "InvalidAccessKeyId": _Rule(AccessError, f"the access key id is unknown to this server: {_KEYS} or the endpoint"),
    "SignatureDoesNotMatch": _Rule(AccessError, f"the secret key is wrong: {_KEYS}"),
    "ExpiredToken": _Rule(AccessError, _EXPIRED),
    "ExpiredTokenException": _Rule(AccessError, _EXPIRED),
    "TokenRefreshRequired": _Rule(AccessError, _EXPIRED),
    "RequestExpired": _Rule(AccessError, _CLOCK),
    "InvalidToken": _Rule(AccessError, f"the session token belongs to other keys or is cut off: {_KEYS}"),
    "InvalidClientTokenId": _Rule(AccessError, f"the access key id is unknown: {_KEYS}"),
    "RequestTimeTooSkewed": _Rule(AccessError, _CLOCK),
    "PermanentRedirect": _Rule(StoreError, _REGION),
    "TemporaryRedirect": _Rule(TransientStoreError),
    "AuthorizationHeaderMalformed": _Rule(StoreError, _REGION),
    "IllegalLocationConstraintException": _Rule(StoreError, _REGION),
    "BadDigest": _Rule(StoreError, "the bytes that arrived have another checksum than the sender's"),
    "XAmzContentSHA256Mismatch": _Rule(StoreError, "the bytes that arrived have another checksum than the sender's"),
    "KMS.DisabledException": _Rule(StoreError, "the KMS key is disabled: enable it, or give another sse_kms_key_id"),
    "KMS.NotFoundException": _Rule(StoreError, "there is no such KMS key in this region: correct sse_kms_key_id"),
    "NotImplemented": _Rule(StoreError),
    **dict.fromkeys(
        (
            "SlowDown",
            "ServiceUnavailable",
            "InternalError",
            "RequestTimeout",
            "RequestTimeoutException",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "TooManyRequests",
            "TooManyRequestsException",
            "OperationAborted",
            "IDPCommunicationError",
        ),
        _Rule(TransientStoreError),
    ),
}

# by HTTP status, where the code says nothing: HEAD has no body, and other servers have codes of their own
_STATUSES = {
    301: _CODES["PermanentRedirect"],
    403: _CODES["AccessDenied"],
    404: _Rule(ObjectNotFoundError, "there is no such object, no such bucket, or no S3 at this endpoint"),
    408: _Rule(TransientStoreError),
    412: _CODES["PreconditionFailed"],
    429: _Rule(TransientStoreError),
    501: _Rule(StoreError),
}

# by the name of botocore's class, the nearest base first
_CLASSES = {
    "NoCredentialsError": _Rule(AccessError, "no credentials found: set them in the environment, a profile or a role"),
    "PartialCredentialsError": _Rule(AccessError, "only a part of the credentials is set: set the rest too"),
    "ProfileNotFound": _Rule(AccessError, "no such profile: correct the profile, or configure it on this machine"),
    "UnauthorizedSSOTokenError": _Rule(AccessError, "the SSO session has ended: run `aws sso login`"),
    "SSOError": _Rule(AccessError, "the SSO session is missing or has ended: run `aws sso login`"),
    "LoginError": _Rule(AccessError, "the login session is missing or has ended: run `aws login`"),
    "TokenRetrievalError": _Rule(AccessError, "the token can't be renewed: run `aws sso login`"),
    "NoAuthTokenError": _Rule(AccessError, "there is no token: run `aws sso login`"),
    "CredentialRetrievalError": _Rule(AccessError, "the credentials can't be got: see to their source"),
    "RefreshWithMFAUnsupportedError": _Rule(AccessError, "keys that need MFA can't be renewed: use a role without"),
    "UnknownCredentialError": _Rule(AccessError, "correct the AWS configuration files"),
    "InvalidConfigError": _Rule(AccessError, "correct the AWS configuration files"),
    "ConfigParseError": _Rule(AccessError, "correct the AWS configuration files"),
    "ConfigNotFound": _Rule(AccessError, "correct the AWS configuration files"),
    "NoRegionError": _Rule(StoreError, "no region is set: set region or AWS_REGION"),
    "ParamValidationError": _Rule(StoreError),
    "ConnectTimeoutError": _Rule(TransientStoreError, "no connection in time: see to endpoint, proxy and firewall"),
    "ReadTimeoutError": _Rule(TransientStoreError, "no answer in time"),
    "EndpointConnectionError": _Rule(TransientStoreError, "nothing answers there: see to endpoint, proxy and firewall"),
    "ProxyConnectionError": _Rule(TransientStoreError, "the proxy does not answer: see to HTTPS_PROXY"),
    "ConnectionError": _Rule(TransientStoreError),
    "HTTPClientError": _Rule(TransientStoreError),
    "IncompleteReadError": _Rule(TransientStoreError),
    "BotoCoreError": _Rule(StoreError),
    # neither is a BotoCoreError
    "ResponseParserError": _Rule(StoreError, "the answer is not one of S3: see to endpoint and proxy"),
    "ParseError": _Rule(StoreError, "the answer is not one of S3: see to endpoint and proxy"),
}

_NO_HOST = _Rule(TransientStoreError, "no such host: correct the endpoint or the region")
_CERTIFICATE = _Rule(StoreError, "the server's certificate is not trusted: set verify to a file of certificates")
_NO_TLS = _Rule(StoreError, "the server does not speak TLS: write http:// in endpoint_url")
_HEADER = _Rule(AccessError, f"a key or the token holds white space or other odd characters: {_KEYS}")

_ACCESS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{8,}([A-Z0-9]{4})\b")
_QUOTED_HEADER = "header value"
_MAX_DETAIL_CHARACTERS = 300


def boto3_errors() -> tuple[type[Exception], ...]:
    """Return the classes of errors that come out of a client: those it means to raise, and those it lets through."""
    import xml.etree.ElementTree

    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ClientError, ResponseParserError, xml.etree.ElementTree.ParseError


def translate(exc: Exception, operation: str, url: str, attempt: int = 1) -> StoreError:
    """Return our error for one of boto3's, in one line that names operation, object, code, attempts and the way out.

    Args:
      exc: one of `boto3_errors`.
      operation: as S3 calls it, such as `PutObject`.
      url: of the object or the bucket.
      attempt: how many attempts were made.
    """
    from botocore.exceptions import ClientError

    attempts = "1 attempt" if attempt == 1 else f"{attempt} attempts"
    begin = f"{operation} {url} failed after {attempts}: "
    rule, reason = _read_response(exc, operation) if isinstance(exc, ClientError) else _read_failure(exc)
    return rule.kind(begin + reason)


def may_be_cause(exc: Exception) -> bool:
    """Return whether this error may stand in a traceback; some quote a header, and so a session token."""
    return _QUOTED_HEADER not in str(exc).lower()


def error_code(error: StoreError) -> str:
    """Return the server's code for an error made by `translate`, or the name of boto3's error where there is none."""
    # a timeout has a response too, which is None
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error.__cause__).__name__)


def _read_response(exc: Any, operation: str) -> tuple[_Rule, str]:
    error = exc.response.get("Error", {})
    code = str(error.get("Code") or "unknown")
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    rule = _CODES.get(code) or _STATUSES.get(status) or _Rule(TransientStoreError if status >= 500 else StoreError)
    # credentials of a role are renewed within another request
    within = "" if exc.operation_name == operation else f"{exc.operation_name}: "
    shown = f"{within}{code} ({status})" if code != str(status) else f"{within}{status}"
    advice = rule.advice if within else _missing_or_denied(rule.advice, operation, status)
    detail = _one_line(str(error.get("Message") or ""))
    return rule, ": ".join(part for part in (shown, advice, detail if _adds(detail, advice) else None) if part)


def _missing_or_denied(advice: str | None, operation: str, status: int) -> str | None:
    if status == 403 and advice == _DENIED and operation in ("HeadObject", "GetObject"):
        return f"{_DENIED}; without s3:ListBucket S3 says this of a missing object too"
    return advice


def _adds(detail: str, advice: str | None) -> bool:
    """Whether the server's words say more than the advice: as a region or a policy's name do."""
    return advice is None or advice in (_REGION, _DENIED)


def _read_failure(exc: Exception) -> tuple[_Rule, str]:
    text = str(exc)
    name = type(exc).__name__
    rule = _rule_of_class(exc)
    if not may_be_cause(exc):
        return _HEADER, f"{name}: {_HEADER.advice}"
    cause = str(getattr(exc, "kwargs", {}).get("error", ""))
    if "resolve" in cause or "getaddrinfo" in cause or "Name or service" in cause:
        rule = _NO_HOST
    elif "CERTIFICATE" in text or "certificate" in text:
        rule = _CERTIFICATE
    elif "WRONG_VERSION_NUMBER" in text:
        rule = _NO_TLS
    return rule, ": ".join(part for part in (name, rule.advice, _one_line(text)) if part)


def _rule_of_class(exc: Exception) -> _Rule:
    names = (base.__name__ for base in type(exc).__mro__)
    return next(_CLASSES[name] for name in names if name in _CLASSES)


def _one_line(text: str) -> str:
    text = _ACCESS_KEY_ID.sub(r"…\1", " ".join(text.split()))
    return text if len(text) <= _MAX_DETAIL_CHARACTERS else text[: _MAX_DETAIL_CHARACTERS - 1] + "…"
