"""Translates the errors of botocore to errors of this package, each with advice."""

from __future__ import annotations

import enum
import re
from typing import Any, NamedTuple

from beam_s3box.errors import (
    AccessError,
    ObjectArchivedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    TransientStoreError,
)
from beam_s3box.stores.s3_answers import InvalidResponse


class ConflictError(TransientStoreError):
    """Another writer wrote the same key at the same time; a multipart upload must be started again."""


class UploadGoneError(StoreError):
    """A multipart upload that the server does not know, or no longer knows."""


class InvalidResponseError(StoreError):
    """The response is not from S3, or incomplete; the outcome of the request is unknown."""


class Remedy(enum.Enum):
    """What must be done before another attempt may help."""

    KEYS = "ask for the keys again"
    CLOCK = "sign by the server's clock"


class Rule(NamedTuple):
    """The meaning of an error response or a failure.

    Attributes:
      kind: the class of our error.
      advice: the fix, for the message.
      attempts: maximum number of attempts that fail like this; None for as many as `Retry` makes if it is transient,
        and otherwise for one.
      remedy: what is done before another attempt.
    """

    kind: type[StoreError]
    advice: str | None = None
    attempts: int | None = None
    remedy: Remedy | None = None


_FEW = 3
"""Attempts after a failure that may have been an accident, and may as well be permanent."""


_KEYS = "correct the keys"
_CLOCK = "the clock of this machine is wrong: set it"
_REGION = "the bucket is in another region: set the region to the bucket's"
_EXPIRED = "the token has expired: get new credentials, or use a role, whose credentials renew themselves"
_HEADERS = "a server that does not know such a header needs conditional_writes=False or checksums=False"
_NOT_S3 = "this is no answer of S3: check the endpoint and the proxy"
_DENIED = "these credentials may not do this: allow it for them, or use others"

_ARCHIVED = (
    "the object is archived, in GLACIER, DEEP_ARCHIVE or an archive tier, as by a lifecycle rule: restore it first "
    "with `aws s3api restore-object`"
)

_CODES = {
    "PreconditionFailed": Rule(ObjectExistsError, "an object is already there"),
    "ConditionalRequestConflict": Rule(ConflictError),
    "NoSuchKey": Rule(ObjectNotFoundError, "there is no such object"),
    "NoSuchBucket": Rule(ObjectNotFoundError, "no such bucket: create it or correct the destination"),
    "NoSuchUpload": Rule(UploadGoneError, "the upload was completed or aborted, by somebody or by a lifecycle rule"),
    "AccessDenied": Rule(AccessError, _DENIED),
    "InvalidObjectState": Rule(ObjectArchivedError, _ARCHIVED),
    "AllAccessDisabled": Rule(AccessError, _DENIED),
    "InvalidAccessKeyId": Rule(
        AccessError, f"the access key id is unknown to this server: {_KEYS} or the endpoint", 2, Remedy.KEYS
    ),
    "SignatureDoesNotMatch": Rule(AccessError, f"the secret key is wrong: {_KEYS}"),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
        Rule(AccessError, _EXPIRED, 2, Remedy.KEYS),
    ),
    "InvalidToken": Rule(
        AccessError, f"the session token belongs to other keys or is cut off: {_KEYS}", 2, Remedy.KEYS
    ),
    "InvalidClientTokenId": Rule(AccessError, f"the access key id is unknown: {_KEYS}", 2, Remedy.KEYS),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), Rule(AccessError, _CLOCK, 2, Remedy.CLOCK)),
    "PermanentRedirect": Rule(StoreError, _REGION),
    "TemporaryRedirect": Rule(TransientStoreError),
    "AuthorizationHeaderMalformed": Rule(StoreError, _REGION),
    "IllegalLocationConstraintException": Rule(StoreError, _REGION),
    **dict.fromkeys(
        ("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest"),
        Rule(StoreError, "the bytes that arrived have another checksum than the sender's", _FEW),
    ),
    **dict.fromkeys(("InvalidArgument", "InvalidRequest", "NotImplemented"), Rule(StoreError, _HEADERS)),
    "KMS.DisabledException": Rule(StoreError, "the KMS key is disabled: enable it, or give another sse_kms_key_id"),
    "KMS.NotFoundException": Rule(StoreError, "there is no such KMS key in this region: correct sse_kms_key_id"),
    **dict.fromkeys(
        (
            "SlowDown",
            "ServiceUnavailable",
            "InternalError",
            "IncompleteBody",
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
        Rule(TransientStoreError),
    ),
}

# by HTTP status, if the code is unknown: HEAD has no body, and other servers have their own codes
_STATUSES = {
    301: _CODES["PermanentRedirect"],
    304: _CODES["PreconditionFailed"],
    403: _CODES["AccessDenied"],
    404: Rule(ObjectNotFoundError, "there is no such object, no such bucket, or no S3 at this endpoint"),
    408: Rule(TransientStoreError),
    412: _CODES["PreconditionFailed"],
    429: Rule(TransientStoreError),
    501: _CODES["NotImplemented"],
}

_CONDITIONAL = ("PutObject", "CompleteMultipartUpload", "DeleteObject")
"""Operations that may have a condition, so that 412, or 304 of older MinIO, means that it is not met."""

_WRITING = (*_CONDITIONAL, "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "DeleteObjects")

# by the name of botocore's class, the nearest base first
_CLASSES = {
    "NoCredentialsError": Rule(AccessError, "no credentials found: set them in the environment, a profile or a role"),
    "PartialCredentialsError": Rule(AccessError, "only a part of the credentials is set: set the rest too"),
    "ProfileNotFound": Rule(AccessError, "no such profile: correct the profile, or configure it on this machine"),
    "UnauthorizedSSOTokenError": Rule(AccessError, "the SSO session has ended: run `aws sso login`"),
    "SSOError": Rule(AccessError, "the SSO session is missing or has ended: run `aws sso login`"),
    "LoginError": Rule(AccessError, "the login session is missing or has ended: run `aws login`"),
    "TokenRetrievalError": Rule(AccessError, "the token can't be renewed: run `aws sso login`"),
    "NoAuthTokenError": Rule(AccessError, "there is no token: run `aws sso login`"),
    "CredentialRetrievalError": Rule(AccessError, "the credentials can't be got: check their source"),
    "RefreshWithMFAUnsupportedError": Rule(AccessError, "keys that need MFA can't be renewed: use a role without"),
    "UnknownCredentialError": Rule(AccessError, "correct the AWS configuration files"),
    "InvalidConfigError": Rule(AccessError, "correct the AWS configuration files"),
    "ConfigParseError": Rule(AccessError, "correct the AWS configuration files"),
    "ConfigNotFound": Rule(AccessError, "correct the AWS configuration files"),
    "NoRegionError": Rule(StoreError, "no region is set: set region or AWS_REGION"),
    "ParamValidationError": Rule(StoreError),
    "ConnectTimeoutError": Rule(TransientStoreError, "no connection in time: check endpoint, proxy and firewall"),
    "ReadTimeoutError": Rule(TransientStoreError, "no answer in time"),
    "EndpointConnectionError": Rule(TransientStoreError, "nothing answers there: check endpoint, proxy and firewall"),
    "ProxyConnectionError": Rule(TransientStoreError, "the proxy does not answer: check HTTPS_PROXY"),
    "ConnectionError": Rule(TransientStoreError),
    "HTTPClientError": Rule(TransientStoreError),
    "IncompleteReadError": Rule(TransientStoreError),
    "BotoCoreError": Rule(StoreError),
    # none of these is a BotoCoreError; the last is urllib3's, which botocore does not catch while a body is read
    **dict.fromkeys(
        ("InvalidResponse", "ResponseParserError", "ParseError"), Rule(InvalidResponseError, _NOT_S3, _FEW)
    ),
    "HTTPError": Rule(TransientStoreError),
}

_NO_HOST = Rule(TransientStoreError, "no such host: correct the endpoint or the region")
_CERTIFICATE = Rule(StoreError, "the server's certificate is not trusted: set verify to a file of certificates")
_NO_TLS = Rule(StoreError, "the server does not speak TLS: write http:// in endpoint_url")
_HEADER = Rule(AccessError, f"a key or the token holds white space or other invalid characters: {_KEYS}")

_ACCESS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{8,}([A-Z0-9]{4})\b")
_QUOTED_HEADER = "header value"
_MAX_DETAIL_CHARACTERS = 300


def boto3_errors() -> tuple[type[Exception], ...]:
    """Return the classes of errors that a client raises, including those of libraries that it does not catch."""
    import xml.etree.ElementTree

    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    return BotoCoreError, ClientError, InvalidResponse, ResponseParserError, xml.etree.ElementTree.ParseError, HTTPError


def translate(exc: Exception, operation: str, url: str, attempt: int = 1) -> StoreError:
    """Return our error for an error of boto3, with one line that names operation, object, code, attempts and fix.

    Args:
      exc: one of `boto3_errors`.
      operation: the name of the operation in S3, such as `PutObject`.
      url: the URL of the object or the bucket.
      attempt: the number of attempts.
    """
    from botocore.exceptions import ClientError

    attempts = "1 attempt" if attempt == 1 else f"{attempt} attempts"
    begin = f"{operation} {url} failed after {attempts}: "
    rule, reason = _read_response(exc, operation) if isinstance(exc, ClientError) else _read_failure(exc)
    return rule.kind(begin + reason)


def may_be_cause(exc: BaseException) -> bool:
    """Return whether this error may be in a traceback; some quote a header, and so a session token."""
    return isinstance(exc, InvalidResponse) or _QUOTED_HEADER not in str(exc).lower()


def error_code(error: StoreError) -> str:
    """Return the server's code for an error of `translate`, or the name of boto3's error if there is none."""
    # a timeout has the attribute, too, and it is None
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error.__cause__).__name__)


def rule_of(error: StoreError, operation: str) -> Rule:
    """Return the rule that `translate` applied; if the cause is unknown, a rule of the class alone."""
    cause = error.__cause__
    if not isinstance(cause, boto3_errors()):
        return Rule(type(error))
    return _rule_of_response(cause, operation) if hasattr(cause, "operation_name") else _rule_of_failure(cause)


def _rule_of_response(exc: Any, operation: str) -> Rule:
    code, status = _code_and_status(exc)
    rule = _CODES.get(code) or _STATUSES.get(status) or Rule(TransientStoreError if status >= 500 else StoreError)
    if rule.kind is ObjectExistsError and operation not in _CONDITIONAL:
        return Rule(StoreError)
    if rule.advice is _HEADERS and operation not in _WRITING:
        return Rule(StoreError)
    if operation == "HeadObject" and status == 400 and rule.attempts is None:
        # it has no body, and an expired token gives this status
        return _CODES["ExpiredToken"]._replace(kind=StoreError, advice="maybe the token has expired")
    return rule


def _code_and_status(exc: Any) -> tuple[str, int]:
    code = str(exc.response.get("Error", {}).get("Code") or "unknown")
    return code, exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _read_response(exc: Any, operation: str) -> tuple[Rule, str]:
    code, status = _code_and_status(exc)
    rule = _rule_of_response(exc, operation)
    # the credentials of a role are renewed during another request
    within = "" if exc.operation_name == operation else f"{exc.operation_name}: "
    shown = f"{within}{code} ({status})" if code != str(status) else f"{within}{status}"
    advice = rule.advice if within else _missing_or_denied(rule.advice, operation, status)
    detail = _one_line(str(exc.response.get("Error", {}).get("Message") or ""))
    return rule, ": ".join(part for part in (shown, advice, detail if _adds(advice) else None) if part)


def _missing_or_denied(advice: str | None, operation: str, status: int) -> str | None:
    if status == 403 and advice == _DENIED and operation in ("HeadObject", "GetObject"):
        return f"{_DENIED}; without s3:ListBucket S3 says this of a missing object too"
    return advice


def _adds(advice: str | None) -> bool:
    """Return whether the server's message adds something to the advice, such as a region or the name of a policy."""
    return advice is None or advice in (_REGION, _DENIED, _HEADERS)


def _read_failure(exc: Exception) -> tuple[Rule, str]:
    text = str(exc)
    # this one has no name in botocore
    name = "" if isinstance(exc, InvalidResponse) else type(exc).__name__
    rule = _rule_of_failure(exc)
    if rule is _HEADER:
        return rule, f"{name}: {rule.advice}"
    return rule, ": ".join(part for part in (name, rule.advice, _one_line(text)) if part)


def _rule_of_failure(exc: BaseException) -> Rule:
    text = str(exc)
    cause = str(getattr(exc, "kwargs", {}).get("error", ""))
    if isinstance(exc, InvalidResponse):
        # its text quotes an unknown server
        return _CLASSES["InvalidResponse"]
    if not may_be_cause(exc):
        return _HEADER
    if "resolve" in cause or "getaddrinfo" in cause or "Name or service" in cause:
        return _NO_HOST
    if "CERTIFICATE" in text or "certificate" in text:
        return _CERTIFICATE
    if "WRONG_VERSION_NUMBER" in text:
        return _NO_TLS
    names = (base.__name__ for base in type(exc).__mro__)
    return next(_CLASSES[name] for name in names if name in _CLASSES)


def _one_line(text: str) -> str:
    text = _ACCESS_KEY_ID.sub(r"…\1", " ".join(text.split()))
    return text if len(text) <= _MAX_DETAIL_CHARACTERS else text[: _MAX_DETAIL_CHARACTERS - 1] + "…"
