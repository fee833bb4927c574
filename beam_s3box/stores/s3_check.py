"""Ask S3 whether a write would work: in seconds, and without leaving anything behind."""

from __future__ import annotations

import dataclasses
import queue
import threading
from typing import Any

from beam_s3box.errors import AccessError, StoreError, TransientStoreError
from beam_s3box.stores.retries import Retry
from beam_s3box.stores.s3_client import FindCredentials, shared_client
from beam_s3box.stores.s3_errors import UploadGoneError, error_code
from beam_s3box.stores.s3_requests import Requests, answer, translated
from beam_s3box.stores.s3_settings import S3Settings

CHECK_KEY = ".beam_s3box-write-check"
"""Key of the upload that is begun and dropped."""

_SILENT_CODES = ("AccessDenied", "403", "NotImplemented", "501", "MethodNotAllowed", "405", "ParseError")
"""Answers that say nothing of the bucket: a writer needs no right to ask where it is."""

_DEADLINE_SECONDS = 3.0
_CONNECT_SECONDS = 2.0
_READ_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class WriteCheck:
    """A check whether objects can be written.

    Attributes:
      settings: how to reach S3; timeouts and attempts are the check's own.
      credentials: finds the keys.
      bucket: its name.
      key: of the upload that is begun and dropped, in the bucket.
      create: parameters for its creation, the same as a write's.
    """

    settings: S3Settings
    credentials: FindCredentials | None
    bucket: str
    key: str
    create: dict[str, Any]

    def run(self) -> None:
        """Raise the error that a write would meet; after 3 seconds without any, that nothing answers.

        The check runs in a thread of its own, because looking up a host or finding credentials has no timeout.
        """
        outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        late = threading.Event()
        threading.Thread(target=self._report, args=(outcome, late), name="beam_s3box-check", daemon=True).start()
        try:
            error = outcome.get(timeout=_DEADLINE_SECONDS)
        except queue.Empty:
            late.set()
            raise TransientStoreError(
                f"check of s3://{self.bucket} failed: no answer within {_DEADLINE_SECONDS:g} seconds; see to endpoint, "
                "name server, proxy, firewall and the source of the credentials"
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
            self.settings, connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, max_attempts=1
        )
        client = translated(lambda: shared_client(settings, self.credentials), "CreateClient", f"s3://{self.bucket}")
        requests = Requests(client, self.bucket, Retry(max_attempts=1))
        # first, because some servers create a missing bucket on an administrator's write
        self._find_bucket(requests)
        if not late.is_set():
            self._begin_and_drop(requests)

    def _find_bucket(self, requests: Requests) -> None:
        try:
            requests.send("get_bucket_location", None, {}, finish=answer)
        except StoreError as exc:
            if error_code(exc) not in _SILENT_CODES:
                raise

    def _begin_and_drop(self, requests: Requests) -> None:
        created, _ = requests.send("create_multipart_upload", self.key, self.create, finish=answer)
        try:
            requests.send("abort_multipart_upload", self.key, {"UploadId": created["UploadId"]}, finish=answer)
        except UploadGoneError:
            return
        except AccessError as exc:
            raise AccessError(
                f"{exc}; allow s3:AbortMultipartUpload, or the parts of failed uploads stay and are billed"
            ) from exc
