"""Objects in S3, or in a server that speaks its language: one request an object, create-only, checked by the server."""

from __future__ import annotations

import base64
import os
import re
import threading
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from beam_s3box.errors import ConfigurationError, ObjectExistsError
from beam_s3box.forks import renew_in_children
from beam_s3box.stores.base import ObjectInfo, check_key
from beam_s3box.stores.retries import Retry
from beam_s3box.stores.s3_check import CHECK_KEY, WriteCheck
from beam_s3box.stores.s3_client import FindCredentials, shared_client
from beam_s3box.stores.s3_multipart import MultipartUpload
from beam_s3box.stores.s3_requests import Requests, answer, translated
from beam_s3box.stores.s3_settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_URL = re.compile(r"s3://([^/]*)(?:/(.*))?", re.DOTALL)
_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


class S3Store:
    """Objects below a bucket's prefix.

    Guarantees: an object is written by one PUT, or in parts when it is larger than `settings.multipart_bytes`, and
    never overwritten unless that is asked for. The server checks the SHA-256 of what arrives. Nothing is listed,
    looked up or copied on the way.

    Args:
      url: `s3://bucket/prefix`; the prefix may be left out.
      settings: how to reach S3 and how objects are written there.
      credentials: a function that finds the keys when the store first needs them, on the machine where it needs them;
        it is pickled with the store, and the keys are not. None, or a function that returns None, leaves it to boto3:
        environment, profile, role of the machine. Keys with a token are not renewed when it expires; a role's are.
      retry: attempts and waits; None for `settings.max_attempts`.
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
        self._bucket, self._prefix = _parse(url)
        self._settings = settings or S3Settings()
        self._credentials = credentials
        self._retry = retry or Retry(self._settings.max_attempts)
        self.after_fork()
        renew_in_children(self)

    def __repr__(self) -> str:
        return f"S3Store({self.root!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_client")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Begin without a client: on its connections both processes would talk."""
        self._lock = threading.Lock()
        self._client: tuple[int, S3Client] | None = None

    @property
    def root(self) -> str:
        """URL of the root."""
        return "/".join(["s3:/", self._bucket, *filter(None, [self._prefix])])

    @property
    def client(self) -> S3Client:
        """The boto3 client: made on first use, and shared by the stores of this process with the same settings."""
        with self._lock:
            if self._client is None or self._client[0] != os.getpid():
                self._client = os.getpid(), translated(self._find_client, "CreateClient", self.root)
            return self._client[1]

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.root}/{key}"

    def put(self, key: str, body: bytes, *, sha256: str, content_type: str, replace: bool = False) -> int:
        """Write an object and return the number of attempts; see `Store.put`."""
        parameters = {**self._parameters(), "ContentType": content_type, "Metadata": {"sha256": sha256}}
        condition = {} if replace else {"IfNoneMatch": "*"}
        if len(body) > self._settings.multipart_bytes:
            return self._put_parts(key, body, parameters, condition, sha256)
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode("ascii")
        sent = {**parameters, **condition, "ChecksumSHA256": checksum, "Body": body}
        return self._requests().send("put_object", self._full_key(key), sent, finish=answer)[1]

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self._requests().send("get_object", self._full_key(key), {}, finish=_read_body)[0]

    def stat(self, key: str) -> ObjectInfo:
        """Return what is known of an object; its checksum only if this package wrote it."""
        head = self._requests().send("head_object", self._full_key(key), {}, finish=answer)[0]
        modified = head["LastModified"].timestamp()
        return ObjectInfo(key, head["ContentLength"], head["Metadata"].get("sha256"), modified)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with the prefix, in the server's order: on AWS by key."""
        requests = self._requests()
        root = self._root_prefix()
        position = {"Prefix": root + prefix}
        # not boto3's paginator: it can't go on after a page that failed
        while True:
            page, _ = requests.send("list_objects_v2", None, position, finish=answer)
            for entry in page.get("Contents", ()):
                # some servers tidy a prefix up, and list what is not asked for
                if entry["Key"].startswith(root + prefix):
                    yield ObjectInfo(entry["Key"][len(root) :], entry["Size"], None, entry["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return
            position = {**position, "ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        self._requests().send("delete_object", self._full_key(key), {}, finish=answer)

    def check_writable(self) -> None:
        """Raise the error that a write would meet, within 4 seconds: begin an upload in parts, and drop it."""
        key = self._root_prefix() + CHECK_KEY
        WriteCheck(self._settings, self._credentials, self._bucket, key, self._parameters()).run()

    def _find_client(self) -> S3Client:
        return shared_client(self._settings, self._credentials)

    def _put_parts(
        self, key: str, body: bytes, parameters: dict[str, Any], condition: dict[str, str], sha256: str
    ) -> int:
        settings = self._settings
        upload = MultipartUpload(
            self._requests(),
            self._full_key(key),
            body,
            parameters,
            condition,
            settings.part_bytes,
            settings.concurrency,
        )
        try:
            return upload.run()
        except ObjectExistsError:
            # with a condition the caller compares; without, it can only be our own, made by an attempt without answer
            if condition or self.stat(key).sha256 != sha256:
                raise
            return 2

    def _parameters(self) -> dict[str, Any]:
        """What every object is written with."""
        settings = self._settings
        parameters = {
            "ServerSideEncryption": settings.sse,
            "SSEKMSKeyId": settings.sse_kms_key_id,
            "StorageClass": settings.storage_class,
            "ACL": settings.acl,
            "Tagging": urllib.parse.urlencode(settings.tags),
        }
        return {name: value for name, value in parameters.items() if value}

    def _requests(self) -> Requests:
        return Requests(self.client, self._bucket, self._retry)

    def _root_prefix(self) -> str:
        return f"{self._prefix}/" if self._prefix else ""

    def _full_key(self, key: str) -> str:
        return self._root_prefix() + check_key(key)


def _parse(url: str) -> tuple[str, str]:
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"destination={url!r} must be s3://bucket/prefix")
    bucket, prefix = match[1], (match[2] or "").strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise ConfigurationError(
            f"destination={url!r} has the bucket {bucket!r}: 3 to 63 lower-case letters, digits, '-' and '.' name a "
            "bucket, beginning and ending with a letter or digit"
        )
    return bucket, check_key(prefix) if prefix else ""


def _read_body(response: Any) -> bytes:
    body: bytes = response["Body"].read()
    return body
