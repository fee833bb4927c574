"""Translates the errors of boto3's Data API client; nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from beam_s3box.errors import LoadError, TransientLoadError, UnreachableError
from beam_s3box.redshift.client.errors import clean

T = TypeVar("T")

_TRANSIENT_CODES: Final = frozenset(
    {
        "ActiveSessionsExceededException",
        "ActiveStatementsExceededException",
        "ActiveWaitingRequestsExceededException",
        "DatabaseConnectionException",
        "ExecuteStatementException",
        "BatchExecuteStatementException",
        "InternalServerException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NETWORK_CLASSES: Final = frozenset({"HTTPClientError", "ConnectionError"})
_ADVICE: Final = {
    "AccessDeniedException": "allow redshift-data:* for these credentials, and redshift:GetClusterCredentials, "
    "redshift-serverless:GetCredentials or the secret",
    "ResourceNotFoundException": "correct cluster, workgroup, secret_arn or region (--redshift_cluster and so on)",
    "ValidationException": "correct what it names, such as cluster, workgroup, database or secret_arn "
    "(--redshift_cluster and so on)",
    "ExpiredTokenException": "get new credentials",
    "UnrecognizedClientException": "correct the credentials",
    "NoCredentialsError": "set credentials in the environment, a profile or a role",
    "NoRegionError": "set region= (--redshift_region) or AWS_REGION",
}


def translated(call: Callable[[], T], operation: str) -> T:
    """Return what a call of boto3 returns.

    Raises:
      TransientLoadError: another attempt may help.
      LoadError: another attempt does not help.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except ClientError as exc:
        error = exc.response.get("Error", {})
        code = str(error.get("Code") or "unknown")
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = TransientLoadError if code in _TRANSIENT_CODES or status >= 500 else LoadError
        raise kind(_sentence(operation, code, str(error.get("Message") or ""))) from exc
    except BotoCoreError as exc:
        names = [base.__name__ for base in type(exc).__mro__]
        is_unreachable = not _NETWORK_CLASSES.isdisjoint(names)
        raise (UnreachableError if is_unreachable else LoadError)(_sentence(operation, names[0], str(exc))) from exc


def _sentence(operation: str, code: str, text: str) -> str:
    advice = _ADVICE.get(code, "")
    return f"{operation} of the Redshift Data API: {code}: {clean(text)}{f'; {advice}' if advice else ''}"
