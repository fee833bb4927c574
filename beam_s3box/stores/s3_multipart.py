"""Multipart uploads of one large object, several parts at the same time; it appears as a whole or not at all."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from beam_s3box.errors import ObjectExistsError, StoreError
from beam_s3box.stores.s3_errors import ConflictError, UploadGoneError
from beam_s3box.stores.s3_requests import Requests, answer

MAX_PARTS = 10_000
"""The maximum number of parts of an object in S3."""


_DROP_SECONDS = 10.0
"""Maximum time to abort a failed upload, as the caller has waited long enough for the error."""


@dataclasses.dataclass(frozen=True)
class MultipartUpload:
    """The multipart upload of one object.

    Attributes:
      requests: sends requests to the bucket.
      key: the key of the object in the bucket.
      body: the bytes of the object, which are not copied.
      create: parameters of the creation, such as type and encryption.
      complete: parameters of the completion, such as `IfNoneMatch`.
      part_bytes: the size of a part; more if there would be too many parts.
      concurrency: the number of parts that are sent at the same time.
      checksums: whether each part is sent with its SHA-256.
    """

    requests: Requests
    key: str
    body: bytes
    create: dict[str, Any]
    complete: dict[str, Any]
    part_bytes: int
    concurrency: int
    checksums: bool

    def run(self) -> int:
        """Upload the object, and return the number of attempts: 1, plus one for each repeated request.

        Raises:
          ObjectExistsError: the object exists, maybe from this upload if its response was lost.
          StoreError: see `Store.put`. The uploaded parts are removed; if that fails too, the error has a note.
        """
        repeated, uploads = self.requests.retry.run(self._upload, _is_conflict)
        return uploads + repeated

    def _upload(self, number: int) -> int:
        """Upload once, and return the number of repeated requests."""
        with self._created() as (upload_id, repeated):
            parts, more = self._send_parts(upload_id)
            return repeated + more + self._finish(upload_id, parts, number - 1)

    def try_out(self) -> None:
        """Upload a body of one part to an existing key, and raise the errors that `run` would raise.

        Raises:
          AccessError: also if only the permission to abort the upload is missing.
        """
        with self._created() as (upload_id, _):
            part, _ = self._send_part(upload_id, 1, memoryview(self.body), [])
            try:
                self._finish(upload_id, [part], 0)
            except ObjectExistsError:
                self._drop(upload_id)

    @contextmanager
    def _created(self) -> Iterator[tuple[str, int]]:
        parameters = {**self.create, **({"ChecksumAlgorithm": "SHA256"} if self.checksums else {})}
        upload_id, attempts = self.requests.send("CreateMultipartUpload", self.key, parameters, finish=_upload_id)
        try:
            yield upload_id, attempts - 1
        except BaseException as exc:
            self._abort(upload_id, exc)
            raise

    def _abort(self, upload_id: str, error: BaseException) -> None:
        """Remove the parts; if that fails, add a note to the first error."""
        try:
            self._drop(upload_id)
        except StoreError as exc:
            error.add_note(f"its parts may be left, which are billed until they are removed: {exc}")

    def _drop(self, upload_id: str) -> None:
        retry = self.requests.retry
        brief = dataclasses.replace(retry, seconds=min(retry.seconds, _DROP_SECONDS))
        requests = dataclasses.replace(self.requests, retry=brief)
        # if the upload is gone there is nothing to remove
        with suppress(UploadGoneError):
            requests.send("AbortMultipartUpload", self.key, {"UploadId": upload_id}, finish=answer)

    def _send_parts(self, upload_id: str) -> tuple[list[dict[str, Any]], int]:
        slices = list(enumerate(self._parts(), 1))
        left = iter(slices)
        sent: dict[int, tuple[dict[str, Any], int]] = {}
        # the first failure stops the other threads: their errors would be less helpful
        failures: list[BaseException] = []

        def work() -> None:
            try:
                # `next` of a list's iterator is atomic
                while not failures and (part := next(left, None)) is not None:
                    sent[part[0]] = self._send_part(upload_id, *part, failures)
            except BaseException as exc:  # noqa: BLE001 - raised below
                failures.append(exc)

        helpers: list[threading.Thread] = []
        try:
            _start(work, min(self.concurrency, len(slices)) - 1, helpers)
            # this thread works, too: no other can be started at the end of the process, or without memory
            work()
        except BaseException as exc:
            failures.append(exc)
            raise
        finally:
            for helper in helpers:
                helper.join()
        if failures:
            raise failures[0]
        results = [sent[number] for number, _ in slices]
        return [part for part, _ in results], sum(attempts - 1 for _, attempts in results)

    def _parts(self) -> Iterator[Any]:
        """Yield the parts, each as `_send_part` takes it."""
        return _slices(self.body, self.part_bytes)

    def _send_part(
        self, upload_id: str, number: int, part: Any, failures: list[BaseException]
    ) -> tuple[dict[str, Any], int]:
        """Send a part; return what the completion names it by, and the number of attempts."""
        sent: dict[str, Any] = {"PartNumber": number}
        if self.checksums:
            sent["ChecksumSHA256"] = base64.b64encode(hashlib.sha256(part).digest()).decode("ascii")
        etag, attempts = self.requests.send(
            "UploadPart",
            self.key,
            {**sent, "UploadId": upload_id},
            body=lambda: _Reader(part),
            finish=_etag,
            stop=lambda error: bool(failures),
        )
        return {**sent, "ETag": etag}, attempts

    def _finish(self, upload_id: str, parts: list[dict[str, Any]], before: int) -> int:
        """Complete the upload, and return the number of repeated requests."""
        repeated: list[StoreError] = []

        def stop(error: StoreError) -> bool:
            if not _is_conflict(error):
                repeated.append(error)
            return _is_conflict(error)

        parameters = {"UploadId": upload_id, "MultipartUpload": {"Parts": parts}, **self.complete}
        try:
            self.requests.send("CompleteMultipartUpload", self.key, parameters, finish=answer, stop=stop, before=before)
        except UploadGoneError as exc:
            if repeated:
                # an earlier attempt may have succeeded, and only its response was lost
                raise ObjectExistsError(str(exc)) from exc
            raise
        return len(repeated)


def _start(work: Callable[[], None], number: int, started: list[threading.Thread]) -> None:
    """Start `number` threads, or as many as possible, and append them to `started`."""
    with suppress(RuntimeError):
        for _ in range(number):
            thread = threading.Thread(target=work, name="beam_s3box-part")
            thread.start()
            started.append(thread)


def _is_conflict(error: StoreError) -> bool:
    return isinstance(error, ConflictError)


def _upload_id(response: Any) -> str:
    return str(response["UploadId"])


def _etag(response: Any) -> str:
    return str(response["ETag"])


def _slices(body: bytes, part_bytes: int) -> Iterator[memoryview]:
    view = memoryview(body)
    step = max(part_bytes, -(-len(body) // MAX_PARTS))
    for start in range(0, len(body), step):
        yield view[start : start + step]


class _Reader(io.RawIOBase):
    """Reads a part without a copy: botocore accepts bytes or a file, and bytes would be a copy of each part."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        taken = self._view[self._position : self._position + len(buffer)]
        buffer[: len(taken)] = taken
        self._position += len(taken)
        return len(taken)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._view)}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position
