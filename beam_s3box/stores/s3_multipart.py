"""Upload one large object in parts, several at a time; it appears whole or not at all."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from beam_s3box.errors import ObjectExistsError, StoreError
from beam_s3box.stores.retries import is_transient
from beam_s3box.stores.s3_errors import ConflictError, UploadGoneError
from beam_s3box.stores.s3_requests import Requests, answer
from beam_s3box.threads import Task, Threads, as_error

MAX_PARTS = 10_000
"""S3 takes no more parts of one object."""


_IDLE_SECONDS = 0.1
"""All parts of an object are queued at once: a thread that finds none is not needed any more."""


@dataclasses.dataclass(frozen=True)
class MultipartUpload:
    """One object that is uploaded in parts.

    Attributes:
      requests: to the bucket.
      key: the object's, in the bucket.
      body: its bytes; they are not copied.
      create: parameters for the creation, as type and encryption.
      complete: parameters for the completion, as `IfNoneMatch`.
      part_bytes: size of a part; more where that would be too many parts.
      concurrency: parts that are sent at the same time.
    """

    requests: Requests
    key: str
    body: bytes
    create: dict[str, Any]
    complete: dict[str, Any]
    part_bytes: int
    concurrency: int

    def run(self) -> int:
        """Upload, and return the number of attempts: 1, and one more for every request that was repeated.

        Raises:
          ObjectExistsError: an object is already there, maybe from this very upload whose answer was lost.
          StoreError: see `Store.put`. What was uploaded is removed; where that fails too, the error has a note.
        """
        repeated, uploads = self.requests.retry.run(self._upload, _is_conflict)
        return uploads + repeated

    def _upload(self, number: int) -> int:
        """Upload once, and return how many requests were repeated."""
        with self._created() as (upload_id, repeated):
            parts, more = self._send_parts(upload_id)
            return repeated + more + self._finish(upload_id, parts, number - 1)

    @contextmanager
    def _created(self) -> Iterator[tuple[str, int]]:
        parameters = {**self.create, "ChecksumAlgorithm": "SHA256"}
        upload_id, attempts = self.requests.send("create_multipart_upload", self.key, parameters, finish=_upload_id)
        try:
            yield upload_id, attempts - 1
        except BaseException as exc:
            self._abort(upload_id, exc)
            raise

    def _abort(self, upload_id: str, error: BaseException) -> None:
        """Remove the parts; if that fails, the first error keeps its place and gets a note."""
        try:
            self.requests.send("abort_multipart_upload", self.key, {"UploadId": upload_id}, finish=answer)
        except UploadGoneError:
            # nothing is left to remove
            return
        except StoreError as exc:
            error.add_note(f"and its parts may be left, which are billed until they are removed: {exc}")

    def _send_parts(self, upload_id: str) -> tuple[list[dict[str, Any]], int]:
        # the first failure, which stops the others: theirs would say less
        failures: list[BaseException] = []
        tasks: list[Task[tuple[dict[str, Any], int]]] = []
        threads = Threads(self.concurrency, "beam_s3box-part", _IDLE_SECONDS)
        try:
            for part in enumerate(_slices(self.body, self.part_bytes), 1):
                tasks.append(threads.submit(self._send_part, upload_id, *part, failures))
            for task in tasks:
                task.wait()
        except BaseException as exc:
            failures.append(exc)
            raise
        finally:
            # a part that is still being sent when the upload is aborted might stay
            for task in tasks:
                if not (failures and task.cancel()):
                    task.wait()
        if failures:
            raise failures[0]
        results = [task.result() for task in tasks]
        return [part for part, _ in results], sum(attempts - 1 for _, attempts in results)

    def _send_part(
        self, upload_id: str, number: int, part: memoryview, failures: list[BaseException]
    ) -> tuple[dict[str, Any], int]:
        try:
            if failures:
                raise StoreError(f"UploadPart {self.requests.url(self.key)} was not sent: another part failed")
            checksum = base64.b64encode(hashlib.sha256(part).digest()).decode("ascii")
            sent = {"PartNumber": number, "ChecksumSHA256": checksum}
            etag, attempts = self.requests.send(
                "upload_part",
                self.key,
                {**sent, "UploadId": upload_id, "Body": _Reader(part)},
                finish=_etag,
                worth=lambda error: is_transient(error) and not failures,
            )
        except BaseException as exc:
            failures.append(as_error(exc))
            raise
        return {**sent, "ETag": etag}, attempts

    def _finish(self, upload_id: str, parts: list[dict[str, Any]], before: int) -> int:
        """Make the object of its parts, and return how often that was repeated."""
        repeated: list[StoreError] = []

        def is_worth(error: StoreError) -> bool:
            if not is_transient(error) or _is_conflict(error):
                return False
            repeated.append(error)
            return True

        parameters = {"UploadId": upload_id, "MultipartUpload": {"Parts": parts}, **self.complete}
        try:
            self.requests.send(
                "complete_multipart_upload", self.key, parameters, finish=answer, worth=is_worth, before=before
            )
        except UploadGoneError as exc:
            if repeated:
                # an earlier attempt may have done it, and only its answer was lost
                raise ObjectExistsError(str(exc)) from exc
            raise
        return len(repeated)


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
    """Reads a part where it lies: botocore takes bytes or a file, and bytes would be a copy of every part."""

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
