"""Checks whether writes to S3 will succeed, by the same requests: within seconds, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import queue
import threading
from collections.abc import Callable
from typing import Final

from beam_s3box.errors import AccessError, ObjectExistsError, StoreError, TransientStoreError
from beam_s3box.stores.base import Store, holds
from beam_s3box.stores.retries import Retry
from beam_s3box.stores.s3_errors import InvalidResponseError, error_code
from beam_s3box.stores.s3_multipart import MultipartUpload
from beam_s3box.stores.s3_requests import Requests, answer
from beam_s3box.stores.s3_settings import S3Settings

CHECK_KEY = ".beam_s3box-write-check"
"""The key of the object that is written and deleted."""

CHECK_RETRY: Final = Retry(max_attempts=3, seconds=3.0)
"""One failure should not prevent a run; with the timeouts below, three attempts take less than 5 seconds."""

CHECK_CONNECT_SECONDS: Final = 2.0
CHECK_READ_SECONDS: Final = 2.0

_BODY = b"written by beam_s3box to see whether it may write here; it can be removed\n"

_IN_PARTS = _BODY + b"in parts\n"

_SILENT_CODES = ("AccessDenied", "403", "NotImplemented", "501", "MethodNotAllowed", "405")
"""Codes that do not mean that the bucket is missing: a writer needs no permission for its location."""

_DEADLINE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class WriteCheck:
    """A check whether objects can be written.

    Attributes:
      root: the URL of the store.
      settings: the settings of writes; the check has its own attempts and timeouts.
      open: returns a store with these settings, attempts and body, requests to its bucket, and an upload in parts.
    """

    root: str
    settings: S3Settings
    open: Callable[[S3Settings, Retry, bytes], tuple[Store, Requests, MultipartUpload]]

    def run(self) -> None:
        """Raise the error that a write would raise, or after 5 seconds that there is no response.

        The check runs in its own thread, because resolving a host or finding credentials has no timeout.
        """
        outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        late = threading.Event()
        threading.Thread(target=self._report, args=(outcome, late), name="beam_s3box-check", daemon=True).start()
        try:
            error = outcome.get(timeout=_DEADLINE_SECONDS)
        except queue.Empty:
            late.set()
            raise TransientStoreError(
                f"check of {self.root} failed: no answer within {_DEADLINE_SECONDS:g} seconds; check the endpoint, the "
                "name server, the proxy, the firewall and the source of the credentials"
            ) from None
        if error is not None:
            raise error

    def _report(self, outcome: queue.SimpleQueue[BaseException | None], late: threading.Event) -> None:
        try:
            self._check(late)
        except BaseException as exc:  # noqa: BLE001 - `run` raises it
            outcome.put(exc)
        else:
            outcome.put(None)

    def _check(self, late: threading.Event) -> None:
        settings = dataclasses.replace(
            self.settings, connect_timeout=CHECK_CONNECT_SECONDS, read_timeout=CHECK_READ_SECONDS
        )
        store, requests, upload = self.open(settings, CHECK_RETRY, _IN_PARTS)
        find_bucket(requests)
        if late.is_set():
            return
        _write(store)
        try:
            _upload(store, upload)
        except BaseException:
            with contextlib.suppress(StoreError):
                _remove(store)
            raise
        _remove(store)


def find_bucket(requests: Requests) -> None:
    """Raise ObjectNotFoundError if the bucket does not exist, as far as the server says it.

    Some servers create a missing bucket on an administrator's write.
    """
    try:
        requests.send("GetBucketLocation", None, {}, finish=answer, stop=_is_invalid_response)
    except InvalidResponseError:
        # some servers do not support this operation; the next request finds out
        return
    except StoreError as exc:
        if error_code(exc) not in _SILENT_CODES:
            raise


def _is_invalid_response(error: StoreError) -> bool:
    return isinstance(error, InvalidResponseError)


def _write(store: Store) -> None:
    """Write the object, and check that a second write is refused."""
    sha256 = hashlib.sha256(_BODY).hexdigest()
    if not store.conditional_create:
        store.put(CHECK_KEY, _BODY, sha256=sha256, content_type="text/plain", replace=True)
        return
    # three times: another check may delete it in between
    for _ in range(3):
        try:
            store.put(CHECK_KEY, _BODY, sha256=sha256, content_type="text/plain")
        except ObjectExistsError:
            return
    _remove(store)
    raise StoreError(
        f"PutObject {store.url(CHECK_KEY)} overwrote an object with If-None-Match: this server ignores conditions, so "
        "set conditional_writes=False"
    )


def _upload(store: Store, upload: MultipartUpload) -> None:
    """Make a multipart upload with other bytes to the same key, which must be refused."""
    try:
        upload.try_out()
    except InvalidResponseError:
        # like a write, which checks the object if the response is not valid
        if not holds(store, CHECK_KEY, _IN_PARTS, hashlib.sha256(_IN_PARTS).hexdigest()):
            raise
    except AccessError as exc:
        if "AbortMultipartUpload" not in str(exc):
            raise
        raise AccessError(
            f"{exc}; allow s3:AbortMultipartUpload, or the parts of failed uploads stay and are billed"
        ) from exc


def _remove(store: Store) -> None:
    try:
        store.delete(CHECK_KEY)
    except AccessError:
        # writers do not need the permission to delete
        return
