"""What people read when S3 says no: one line, with the way out and without a secret."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import botocore.exceptions as aws
import pytest
from botocore.parsers import ResponseParserError

from beam_s3box.errors import (
    AccessError,
    ConfigurationError,
    ObjectArchivedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    TransientStoreError,
)
from beam_s3box.stores import Credentials, S3Settings, S3Store
from beam_s3box.stores.s3_answers import InvalidResponse
from beam_s3box.stores.s3_errors import ConflictError, InvalidResponseError, UploadGoneError, translate

URL = "s3://b/k"


def said(code: str, status: int, message: str = "", operation: str = "PutObject") -> aws.ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return aws.ClientError(response, operation)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (said("SlowDown", 503, "Reduce"), TransientStoreError, "SlowDown (503): Reduce"),
        (said("Odd", 502), TransientStoreError, "Odd (502)"),
        (said("Odd", 400, "No."), StoreError, "Odd (400): No."),
        (
            said("NotImplemented", 501, "A header you provided"),
            StoreError,
            "NotImplemented (501): a server that does not know such a header needs conditional_writes=False or "
            "checksums=False: A header you provided",
        ),
        (
            said("PreconditionFailed", 412, "x"),
            ObjectExistsError,
            "PreconditionFailed (412): an object is already there",
        ),
        (said("ConditionalRequestConflict", 409), ConflictError, "ConditionalRequestConflict (409)"),
        (
            said("InvalidObjectState", 403, "The operation is not valid"),
            ObjectArchivedError,
            "InvalidObjectState (403): the object is archived, in GLACIER, DEEP_ARCHIVE or an archive tier, as by a "
            "lifecycle rule: restore it first with `aws s3api restore-object`",
        ),
        (
            said("NoSuchBucket", 404, "The specified bucket does not exist"),
            ObjectNotFoundError,
            "NoSuchBucket (404): no such bucket: create it or correct the destination",
        ),
        (
            said("ExpiredToken", 400, "The provided token has expired."),
            AccessError,
            "ExpiredToken (400): the token has expired: get new credentials, or use a role, whose credentials renew "
            "themselves",
        ),
        (
            said("InvalidAccessKeyId", 403),
            AccessError,
            "InvalidAccessKeyId (403): the access key id is unknown to this server: correct the keys or the endpoint",
        ),
        (
            said("SignatureDoesNotMatch", 403, "long talk"),
            AccessError,
            "SignatureDoesNotMatch (403): the secret key is wrong: correct the keys",
        ),
        (
            said("AuthorizationHeaderMalformed", 400, "the region 'a' is wrong; expecting 'b'"),
            StoreError,
            "AuthorizationHeaderMalformed (400): the bucket is in another region: set the region to the bucket's: the "
            "region 'a' is wrong; expecting 'b'",
        ),
        (
            said("RequestTimeTooSkewed", 403),
            AccessError,
            "RequestTimeTooSkewed (403): the clock of this machine is wrong: set it",
        ),
        (
            said("AccessDenied", 403, "User AKIAIOSFODNN7EXAMPLE may not", "AssumeRole"),
            AccessError,
            "AssumeRole: AccessDenied (403): these credentials may not do this: allow it for them, or use others: User "
            "…MPLE may not",
        ),
        (
            aws.NoCredentialsError(),
            AccessError,
            "NoCredentialsError: no credentials found: set them in the environment, a profile or a role: Unable to "
            "locate credentials",
        ),
        (
            aws.ProfileNotFound(profile="p"),
            AccessError,
            "ProfileNotFound: no such profile: correct the profile, or configure it on this machine: The config "
            "profile (p) could not be found",
        ),
        (
            aws.UnauthorizedSSOTokenError(),
            AccessError,
            "UnauthorizedSSOTokenError: the SSO session has ended: run `aws sso login`: The SSO session associated "
            "with this profile has expired or is otherwise invalid. To refresh this SSO session run aws sso login with "
            "the corresponding profile.",
        ),
        (
            aws.EndpointConnectionError(endpoint_url="http://h/", error="Connection refused"),
            TransientStoreError,
            "EndpointConnectionError: nothing answers there: check endpoint, proxy and firewall: Could not connect to "
            'the endpoint URL: "http://h/"',
        ),
        (
            aws.EndpointConnectionError(endpoint_url="http://h/", error="Failed to resolve 'h'"),
            TransientStoreError,
            "EndpointConnectionError: no such host: correct the endpoint or the region: Could not connect to the "
            'endpoint URL: "http://h/"',
        ),
        (
            aws.SSLError(endpoint_url="https://h/", error=OSError("CERTIFICATE_VERIFY_FAILED")),
            StoreError,
            "SSLError: the server's certificate is not trusted: set verify to a file of certificates: SSL validation "
            "failed for https://h/ CERTIFICATE_VERIFY_FAILED",
        ),
        (
            aws.ParamValidationError(report="Bad\nthing"),
            StoreError,
            "ParamValidationError: Parameter validation failed: Bad thing",
        ),
    ],
)
def test_messages(error: Exception, kind: type[StoreError], message: str) -> None:
    translated = translate(error, "PutObject", URL, 1)
    assert type(translated) is kind
    assert str(translated) == f"PutObject {URL} failed after 1 attempt: {message}"
    assert str(translate(error, "PutObject", URL, 3)) == f"PutObject {URL} failed after 3 attempts: {message}"


def test_a_head_has_only_a_status() -> None:
    missing = translate(said("404", 404, "Not Found", "HeadObject"), "HeadObject", URL)
    assert type(missing) is ObjectNotFoundError
    assert str(missing) == (
        "HeadObject s3://b/k failed after 1 attempt: 404: there is no such object, no such bucket, or no S3 at this endpoint"
    )
    denied = translate(said("403", 403, "Forbidden", "HeadObject"), "HeadObject", URL)
    assert type(denied) is AccessError
    assert "without s3:ListBucket S3 says this of a missing object too" in str(denied)


@pytest.mark.parametrize("kind", [ConflictError, InvalidResponseError, UploadGoneError])
def test_our_own_kinds_survive_a_pickle(kind: type[StoreError]) -> None:
    assert type(pickle.loads(pickle.dumps(kind("message")))) is kind


def test_an_answer_of_another_server_says_so() -> None:
    error = translate(ResponseParserError("Unable to parse response, received <html>"), "GetObject", URL)
    assert str(error) == (
        "GetObject s3://b/k failed after 1 attempt: ResponseParserError: this is no answer of S3: check the endpoint and the proxy: "
        "Unable to parse response, received <html>"
    )


def test_what_a_stranger_says_decides_nothing() -> None:
    error = translate(
        InvalidResponse("a 200 with a body: '<p>Header value, resolve, CERTIFICATE</p>'"), "PutObject", URL
    )
    assert type(error) is InvalidResponseError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any AWS settings, and files that are not there."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def local_store(test: int) -> S3Store:
    """A store that meets nobody; no two tests share its client, and so credentials."""
    return S3Store("s3://bucket", S3Settings("us-east-1", "http://127.0.0.1:9", max_attempts=1, read_timeout=test))


def test_no_credentials_at_all(bare: None) -> None:
    with pytest.raises(
        AccessError, match="GetObject s3://bucket/k failed after 1 attempt: NoCredentialsError: no credentials found"
    ):
        local_store(1).get("k")


def test_half_of_the_credentials(bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(AccessError, match="PartialCredentialsError: only a part of the credentials is set"):
        local_store(2).get("k")


def test_a_profile_that_is_not_there(bare: None) -> None:
    settings = S3Settings("us-east-1", "http://127.0.0.1:9", profile="nobody")
    with pytest.raises(
        AccessError, match="CreateClient s3://bucket failed after 1 attempt: ProfileNotFound: no such profile"
    ):
        S3Store("s3://bucket", settings).get("k")


def test_an_endpoint_of_the_environment_that_is_none(bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(ConfigurationError, match="can't create an S3 client: Invalid endpoint: nonsense"):
        S3Store("s3://bucket", S3Settings("us-east-1"), lambda: Credentials("k", "s")).get("k")


def test_a_token_that_breaks_the_header_is_not_quoted(bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token\nof-yesterday")
    with pytest.raises(AccessError, match="a key or the token holds white space") as caught:
        local_store(3).put("k", b"", sha256="00", content_type="text/plain")
    shown = "".join(traceback.format_exception(caught.value))
    assert "the-token" not in shown
    assert "of-yesterday" not in shown
    assert caught.value.__context__ is None
