"""Makes boto3 clients: one for each way to reach S3, in each process."""

from __future__ import annotations

# boto3 imports this when it is needed first, and Python refuses that once the main thread has ended
import concurrent.futures.thread  # noqa: F401
import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import MiB
from beam_s3box.stores.s3_settings import Credentials, S3Settings

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

FindCredentials = Callable[[], Credentials | None]
"""Finds the keys when a client is needed, on the machine where it is needed; None leaves it to boto3."""

ROLE_SESSION_NAME = "beam_s3box"
"""Names our sessions in AWS's logs."""

_MIN_POOL_CONNECTIONS = 32
"""Many uploads share a client; a connection that finds no room in the pool is closed, and made anew next time."""

_MAX_CLIENTS = 16
"""Kept at the same time; making one takes a tenth of a second."""

_MAX_UNASKED_BYTES = 8 * MiB
"""A larger body waits for the server's word: sending it only to be refused would cost more."""

_LOCK = threading.Lock()


def _after_fork() -> None:
    global _LOCK
    _LOCK = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def shared_client(settings: S3Settings, credentials: FindCredentials | None) -> S3Client:
    """Return this process's client for these settings and the keys that are found now.

    Raises:
      ConfigurationError: boto3 is not installed, or can't work with the settings.
      Exception: whatever boto3 and `credentials` raise.
    """
    found = credentials() if credentials is not None else None
    # by the keys, not by the function: two pipelines of one process may carry different ones in their options
    keys = None if found is None else (found.access_key, found.secret_key, found.token)
    with _LOCK:
        return _make_client(os.getpid(), settings, keys)


@functools.lru_cache(_MAX_CLIENTS)
def _make_client(process: int, settings: S3Settings, keys: tuple[str, str, str | None] | None) -> S3Client:
    """Make a client; it belongs to one process, as after a fork both sides would talk on its connections."""
    try:
        import boto3
        import botocore.config
    except ImportError as exc:
        raise ConfigurationError("destination='s3://…' needs boto3: pip install boto3") from exc
    if keys is None:
        session = boto3.Session(profile_name=settings.profile, region_name=settings.region)
    else:
        session = boto3.Session(*keys, region_name=settings.region)
    if settings.role_arn is not None:
        _assume_role(session, settings.role_arn)
    try:
        client: S3Client = session.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            use_ssl=settings.use_ssl,
            verify=settings.verify,
            config=botocore.config.Config(**_config(settings)),
        )
    except ValueError as exc:
        # an endpoint or a region, which may come from the environment
        raise ConfigurationError(f"no S3 client can be made: {exc}") from exc
    client.meta.events.register_last("before-call.s3", _send_at_once)
    return client


def _send_at_once(model: Any, params: dict[str, Any], **_: Any) -> None:
    """Send a small body without asking the server first whether it wants it.

    The question costs a round trip, and botocore reads the answer byte by byte, giving up the interpreter's lock at
    each: beside a busy thread a request then takes ten times as long.
    """
    if model.name == "PutObject" and len(params["body"].getbuffer()) <= _MAX_UNASKED_BYTES:
        params["headers"].pop("Expect", None)


def _config(settings: S3Settings) -> dict[str, Any]:
    return {
        "connect_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "max_pool_connections": max(settings.concurrency, _MIN_POOL_CONNECTIONS),
        # `Retry` counts the attempts
        "retries": {"total_max_attempts": 1},
        # the default checksums come as a trailer, which many servers refuse or store; we send our own as a header
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": "path" if settings.endpoint_url else "auto"},
    }


def _assume_role(session: boto3.Session, role_arn: str) -> None:
    """Let the session use the role's credentials, got with its own on first use and renewed as they expire."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.exceptions import NoCredentialsError

    # boto3 has no public way to give a session credentials that renew themselves
    core: Any = session._session
    source = session.get_credentials()
    if source is None:
        raise NoCredentialsError()
    fetcher = AssumeRoleCredentialFetcher(
        core.create_client, source, role_arn, extra_args={"RoleSessionName": ROLE_SESSION_NAME}
    )
    core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
