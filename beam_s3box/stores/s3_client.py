"""Creates boto3 clients: one for each combination of settings and keys, in each process."""

from __future__ import annotations

import collections

# boto3 imports it too, which fails once the main thread has ended: a first upload at exit could not create a client
import concurrent.futures.thread  # noqa: F401
import gzip
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import MiB
from beam_s3box.stores.s3_answers import check_arrived
from beam_s3box.stores.s3_clock import ServerClock
from beam_s3box.stores.s3_settings import Credentials, S3Settings

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

FindCredentials = Callable[[], Credentials | None]
"""Returns the keys when a client is needed, on the machine that needs it; None leaves it to boto3."""

ROLE_SESSION_NAME = "beam_s3box"
"""The name of our sessions in AWS's logs."""

_MIN_POOL_CONNECTIONS = 32
"""Many uploads share a client; a connection that does not fit in the pool is closed, and opened again next time."""

_MAX_CLIENTS = 16
"""Maximum number of clients in the cache; creating one takes a tenth of a second."""

_MAX_UNASKED_BYTES = 8 * MiB
"""A larger body waits for `100 Continue`, because sending it in vain would cost more."""

_MODELS: dict[tuple[str, ...], Any] = {}
"""botocore's loaders of descriptions, by where they look."""

_CLIENTS: collections.OrderedDict[Any, Connected] = collections.OrderedDict()
_LOCK = threading.Lock()

Keys = tuple[str, str, str | None]


class Connected:
    """A client, the keys it was created with (None: boto3 found them), and the clock of its server."""

    __slots__ = ("client", "clock", "keys")

    def __init__(self, client: S3Client, keys: Keys | None) -> None:
        self.client = client
        self.keys = keys
        self.clock = ServerClock()
        self.clock.attach(client)


class Connection:
    """A connection to S3, whose client is created on first use, once in each process.

    Connections with the same settings and keys share a client. Safe for use by many threads, and after a fork.
    """

    def __init__(self, settings: S3Settings, credentials: FindCredentials | None) -> None:
        self._settings = settings
        self._credentials = credentials
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._connected: Connected | None = None

    def get(self) -> Connected:
        """Return the client with its keys and clock.

        Raises:
          ConfigurationError: boto3 is not installed, or does not accept the settings.
          Exception: any error of boto3 and of the function for the credentials.
        """
        self._check_process()
        connected = self._connected
        if connected is None:
            with self._lock:
                connected = self._connected = self._connected or _shared(self._settings, self._find_keys())
        return connected

    def renew(self, refused: Connected) -> bool:
        """Get the keys again after the server refused those of a client; return whether a retry may help."""
        self._check_process()
        with self._lock:
            if self._connected is not refused:
                # another thread has done it
                return True
            keys = self._find_keys()
            # if boto3 found them it may find others now: in a file, in the environment, or those of a role
            if keys == refused.keys and keys is not None and self._settings.role_arn is None:
                return False
            self._connected = _shared(self._settings, keys, refused)
            return True

    def _find_keys(self) -> Keys | None:
        # the cache uses the keys and not the function: two pipelines in one process may have different keys in their
        # options
        found = self._credentials() if self._credentials is not None else None
        return None if found is None else (found.access_key, found.secret_key, found.token)

    def _check_process(self) -> None:
        """Reset everything that belongs to the parent of a forked process, before using a lock that it may hold."""
        if self._process != os.getpid():
            self._process, self._lock, self._connected = os.getpid(), threading.RLock(), None


def _renew_lock() -> None:
    global _LOCK
    _LOCK = threading.Lock()


# another thread may have held it in the parent
os.register_at_fork(after_in_child=_renew_lock)


def _shared(settings: S3Settings, keys: Keys | None, refused: Connected | None = None) -> Connected:
    """Return this process's client for these settings and keys, but not the one that was refused."""
    # with the process, as parent and child must not share connections
    name = os.getpid(), settings, keys
    with _LOCK:
        found = _CLIENTS.pop(name, None)
        if found is None or found is refused:
            found = Connected(_make_client(settings, keys), keys)
        _CLIENTS[name] = found
        while len(_CLIENTS) > _MAX_CLIENTS:
            _CLIENTS.popitem(last=False)
        return found


def _make_client(settings: S3Settings, keys: Keys | None) -> S3Client:
    try:
        import boto3
        import botocore.config
    except ImportError as exc:
        raise ConfigurationError("destination='s3://…' needs boto3: pip install boto3") from exc
    if keys is None:
        session = boto3.Session(profile_name=settings.profile, region_name=settings.region)
    else:
        session = boto3.Session(*keys, region_name=settings.region)
    _share_models(session)
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
        # an invalid endpoint or region, which may come from the environment
        raise ConfigurationError(f"can't create an S3 client: {exc}") from exc
    client.meta.events.register_last("before-call.s3", _send_at_once)
    # a pattern that botocore calls before its own handler for S3, which turns any 200 without XML into a 500
    client.meta.events.register("before-parse.*.*", check_arrived)
    return client


def _share_models(session: boto3.Session) -> None:
    """Let the session read botocore's description of S3 once in this process, and fast: half of what a client takes."""
    from botocore.loaders import JSONFileLoader

    class Models(JSONFileLoader):
        def load_file(self, file_path: str) -> Any:
            """Return what a file holds, or what follows if there is none of that name."""
            for extension, open_file in ((".json", open), (".json.gz", gzip.open)):
                if os.path.isfile(file_path + extension):
                    with open_file(file_path + extension, "rb") as file:
                        return orjson.loads(file.read())
            return None

    core: Any = session._session
    own = core.get_component("data_loader")
    own.file_loader = Models()
    core.register_component("data_loader", _MODELS.setdefault(tuple(own.search_paths), own))


def _send_at_once(model: Any, params: dict[str, Any], **_: Any) -> None:
    """Send a small body without `Expect: 100-continue`.

    It costs a round trip, and botocore reads the response byte by byte, releasing the GIL for each: next to a busy
    thread a request takes ten times as long.
    """
    if model.name == "PutObject" and len(params["body"].getvalue()) <= _MAX_UNASKED_BYTES:
        params["headers"].pop("Expect", None)


def _config(settings: S3Settings) -> dict[str, Any]:
    return {
        "connect_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "max_pool_connections": max(settings.concurrency, _MIN_POOL_CONNECTIONS),
        # `Retry` counts the attempts
        "retries": {"total_max_attempts": 1},
        # the default checksums are sent as a trailer, which many servers refuse or store; we send ours as a header
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": "path" if settings.endpoint_url else "auto"},
    }


def _assume_role(session: boto3.Session, role_arn: str) -> None:
    """Let the session use the credentials of a role, which are requested on first use and renewed when they expire."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.exceptions import NoCredentialsError

    # boto3 has no public API for credentials of a session that renew themselves
    core: Any = session._session
    source = session.get_credentials()
    if source is None:
        raise NoCredentialsError()
    fetcher = AssumeRoleCredentialFetcher(
        core.create_client, source, role_arn, extra_args={"RoleSessionName": ROLE_SESSION_NAME}
    )
    core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
