"""Objects in S3 or a compatible server: one request per object, create-only, checked by the server."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from beam_s3box.errors import (
    AccessError,
    ConfigurationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
)
from beam_s3box.stores.base import ObjectInfo, check_condition, check_key, check_readable_key, holds
from beam_s3box.stores.retries import Retry
from beam_s3box.stores.s3_check import CHECK_KEY, WriteCheck
from beam_s3box.stores.s3_client import Connection, FindCredentials
from beam_s3box.stores.s3_errors import InvalidResponseError, error_code
from beam_s3box.stores.s3_listing import list_objects
from beam_s3box.stores.s3_multipart import MultipartUpload
from beam_s3box.stores.s3_objects import looked_up, object_parameters, quoted, read, read_with_info
from beam_s3box.stores.s3_requests import Requests, answer
from beam_s3box.stores.s3_settings import S3Settings, s3_settings_of
from beam_s3box.stores.s3_urls import parse_url

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Store:
    """Objects below a bucket's prefix.

    *Guarantees*: an object is written by one PUT, or by a multipart upload if it is larger than
    `settings.multipart_bytes`, and never overwritten unless requested. The server checks the SHA-256 of the body, and a
    write succeeds only with a response that S3 sends for it. A write does not list, look up or copy objects.

    Args:
      url: `s3://bucket/prefix`; the prefix is optional.
      settings: the connection to S3, and the properties of objects.
      credentials: a function that returns the keys when the store first needs them, on the machine that needs them. It
        is pickled with the store, and the keys are not. None, or a function that returns None, leaves it to boto3:
        environment, profile, role of the machine. It is called again if the server reports that the keys have expired.
      retry: attempts and waits; None for those of the settings.
    """

    def __init__(
        self,
        url: str,
        settings: S3Settings | None = None,
        credentials: FindCredentials | None = None,
        retry: Retry | None = None,
    ) -> None:
        if credentials is not None and not callable(credentials):
            raise ConfigurationError("credentials must be a function that returns Credentials or None")
        self._bucket, self._prefix = parse_url(url)
        self._settings = s3_settings_of(settings)
        self._credentials = credentials
        self._retry = retry or Retry(self._settings.max_attempts, seconds=self._settings.retry_seconds)
        self._connection = Connection(self._settings, credentials)

    def __repr__(self) -> str:
        return f"S3Store({self.root!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_connection"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _connection=Connection(state["_settings"], state["_credentials"]))

    @property
    def root(self) -> str:
        """The URL of the root."""
        return "/".join(["s3:/", self._bucket, *filter(None, [self._prefix])])

    @property
    def settings(self) -> S3Settings:
        """The settings that the store was created with."""
        return self._settings

    @property
    def client(self) -> S3Client:
        """The boto3 client, created on first use and shared by the stores of this process with the same settings."""
        return self.requests.connect().client

    @property
    def requests(self) -> Requests:
        """The requests to the bucket: checked, retried, and with the errors of this package."""
        return Requests(self._connection, self._bucket, self._retry)

    @property
    def conditional_create(self) -> bool:
        """Whether requests ask the server to refuse a write if the key exists."""
        return self._settings.conditional_writes

    @property
    def conditional_replace(self) -> bool:
        """Whether requests ask the server to compare ETags before it writes."""
        return self._settings.conditional_writes

    @property
    def conditional_delete(self) -> bool:
        """Whether requests ask the server to compare ETags before it deletes."""
        return self._settings.conditional_writes

    def with_settings(self, settings: S3Settings, retry: Retry | None = None) -> S3Store:
        """Return a store of the same objects with other settings."""
        return S3Store(self.root, settings, self._credentials, retry)

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.root}/{key}"

    def put(
        self,
        key: str,
        body: bytes,
        *,
        sha256: str,
        content_type: str,
        replace: bool = False,
        if_match: str | None = None,
    ) -> int:
        """Write an object and return the number of attempts; see `Store.put`."""
        check_key(key)
        check_condition(replace, if_match)
        write = functools.partial(self._put, key, body, sha256, content_type)
        if not self._settings.conditional_writes:
            self._look_first(key, replace, if_match)
            return write({})
        if if_match is None:
            return write({} if replace else {"IfNoneMatch": "*"})
        try:
            return write({"IfMatch": quoted(if_match)})
        except (ObjectExistsError, ObjectNotFoundError) as exc:
            # if there is no object, AWS responds with 404, others with 412
            if isinstance(exc, ObjectNotFoundError) and error_code(exc) != "NoSuchKey":
                raise
            if not holds(self, key, body, sha256):
                raise _changed(str(exc), if_match) from exc
            return 1

    def get(self, key: str) -> bytes:
        """Return an object's bytes. Their checksum is verified if this package wrote them."""
        return self.requests.send("GetObject", self.full_key(check_readable_key(key)), {}, finish=read)[0]

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object's bytes and its properties."""
        finish = functools.partial(read_with_info, key)
        return self.requests.send("GetObject", self.full_key(check_readable_key(key)), {}, finish=finish)[0]

    def stat(self, key: str) -> ObjectInfo:
        """Return the properties of an object; its checksum only if this package wrote it."""
        finish = functools.partial(looked_up, key)
        return self.requests.send("HeadObject", self.full_key(check_readable_key(key)), {}, finish=finish)[0]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with the prefix, in the server's order: on AWS by key."""
        return list_objects(self.requests, self.root, self.full_key(""), prefix)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete an object, if it exists; see `Store.delete`."""
        check_key(key)
        check_condition(True, if_match)
        condition = {} if if_match is None else {"IfMatch": quoted(if_match)}
        if condition and not self._settings.conditional_writes:
            found = self._find(key)
            if found is not None and found.etag != if_match:
                raise _changed(f"DeleteObject {self.url(key)} was not sent", if_match)
            condition = {}
        try:
            self.requests.send("DeleteObject", self.full_key(key), condition, finish=answer)
        except ObjectNotFoundError as exc:
            if error_code(exc) != "NoSuchKey":
                raise
        except ObjectExistsError as exc:
            if if_match is None:
                raise StoreError(f"{exc}, and the request had no condition") from exc
            # a server also responds like this if an earlier attempt, whose response was lost, has deleted the object
            if self._find(key) is not None:
                raise _changed(str(exc), if_match) from exc

    @property
    def clock_resolution(self) -> float:
        """HTTP dates have a resolution of one second."""
        return 1.0

    def now(self) -> float:
        """Return the time by the server's clock; see `Store.now`. It sends a request if there was no response yet."""
        clock = self.requests.connect().clock
        if clock.now() is None:
            # any response will do, also 404 or 403
            with contextlib.suppress(ObjectNotFoundError, AccessError):
                self.requests.send("HeadObject", self.full_key(CHECK_KEY), {}, finish=answer)
        now = clock.now()
        if now is None:
            raise StoreError(f"HeadObject {self.root} failed: without a Date header the server's time is unknown")
        return now

    def check_writable(self) -> None:
        """Raise the error that a write would raise, within 5 seconds: write a small object and delete it.

        A multipart upload is made as well, and refused because the object exists. Without the permission to delete,
        `.beam_s3box-write-check` is left below the root.
        """
        WriteCheck(self.root, self._settings, self._for_check).run()

    def _for_check(self, settings: S3Settings, retry: Retry, body: bytes) -> tuple[S3Store, Requests, MultipartUpload]:
        store, condition = self.with_settings(settings, retry), {"IfNoneMatch": "*"}
        parameters = object_parameters(settings, hashlib.sha256(body).hexdigest(), "text/plain")
        upload = store._upload(CHECK_KEY, body, parameters, condition if settings.conditional_writes else {})
        return store, store.requests, upload

    def _put(self, key: str, body: bytes, sha256: str, content_type: str, condition: dict[str, str]) -> int:
        parameters = object_parameters(self._settings, sha256, content_type)
        try:
            if len(body) > self._settings.multipart_bytes:
                return self._put_parts(key, body, parameters, condition, sha256)
            if self._settings.checksums:
                parameters["ChecksumSHA256"] = base64.b64encode(bytes.fromhex(sha256)).decode("ascii")
            full_key = self.full_key(key)
            sent = {**parameters, **condition}
            return self.requests.send("PutObject", full_key, sent, body=lambda: body, finish=answer)[1]
        except InvalidResponseError:
            # the write may have succeeded, and a proxy may have replaced the response
            if self._is_there(key, body, sha256):
                return 1
            raise

    def _put_parts(
        self, key: str, body: bytes, parameters: dict[str, Any], condition: dict[str, str], sha256: str
    ) -> int:
        try:
            return self._upload(key, body, parameters, condition).run()
        except ObjectExistsError:
            # with a condition the caller compares; without, it can only be that of an attempt whose response was lost
            if condition or not holds(self, key, body, sha256):
                raise
            return 2

    def _upload(self, key: str, body: bytes, parameters: dict[str, Any], condition: dict[str, str]) -> MultipartUpload:
        settings = self._settings
        return MultipartUpload(
            self.requests,
            self.full_key(key),
            body,
            parameters,
            condition,
            settings.part_bytes,
            settings.concurrency,
            settings.checksums,
        )

    def _look_first(self, key: str, replace: bool, if_match: str | None) -> None:
        """Raise the errors of a server with conditional writes."""
        if replace and if_match is None:
            return
        found = self._find(key)
        if not replace and found is not None:
            raise ObjectExistsError(f"PutObject {self.url(key)} was not sent: an object is already there")
        if replace and (found is None or found.etag != if_match):
            raise _changed(f"PutObject {self.url(key)} was not sent", if_match)

    def _find(self, key: str) -> ObjectInfo | None:
        try:
            return self.stat(key)
        except ObjectNotFoundError:
            return None

    def _is_there(self, key: str, body: bytes, sha256: str) -> bool:
        try:
            return holds(self, key, body, sha256)
        except StoreError:
            # the first error is more helpful
            return False

    def full_key(self, key: str) -> str:
        """Return the key in the bucket."""
        return f"{self._prefix}/{key}" if self._prefix else key


def _changed(what: str, if_match: str | None) -> ObjectChangedError:
    return ObjectChangedError(f"{what}; it does not have the ETag {if_match!r}, or is gone")
