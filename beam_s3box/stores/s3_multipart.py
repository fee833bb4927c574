"""Upload one large object in parts, several at a time; it appears whole or not at all."""

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
"""S3 takes no more parts of one object."""


_DROP_SECONDS = 10.0
"""An upload that failed is dropped for so long: whoever waits for the error has waited already."""


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
      checksums: whether each part carries its SHA-256.
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

    def try_out(self) -> None:
        """Upload a body of one part where an object is in the way, as `run` would, and raise what that would raise.

        Raises:
          AccessError: also where only dropping the upload is forbidden.
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
        """Remove the parts; if that fails, the first error keeps its place and gets a note."""
        try:
            self._drop(upload_id)
        except StoreError as exc:
            error.add_note(f"and its parts may be left, which are billed until they are removed: {exc}")

    def _drop(self, upload_id: str) -> None:
        retry = self.requests.retry
        brief = dataclasses.replace(retry, seconds=min(retry.seconds, _DROP_SECONDS))
        requests = dataclasses.replace(self.requests, retry=brief)
        # one that is gone has left nothing to remove
        with suppress(UploadGoneError):
            requests.send("AbortMultipartUpload", self.key, {"UploadId": upload_id}, finish=answer)

    def _send_parts(self, upload_id: str) -> tuple[list[dict[str, Any]], int]:
        slices = list(enumerate(_slices(self.body, self.part_bytes), 1))
        left = iter(slices)
        sent: dict[int, tuple[dict[str, Any], int]] = {}
        # the first failure, which stops the others: theirs would say less
        failures: list[BaseException] = []

        def work() -> None:
            try:
                # `next` of a list's iterator is one step, also among threads
                while not failures and (part := next(left, None)) is not None:
                    sent[part[0]] = self._send_part(upload_id, *part, failures)
            except BaseException as exc:  # noqa: BLE001 - raised below
                failures.append(exc)

        helpers: list[threading.Thread] = []
        try:
            _start(work, min(self.concurrency, len(slices)) - 1, helpers)
            # here too: at the end of the process, or of its memory, no thread may be had
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

    def _send_part(
        self, upload_id: str, number: int, part: memoryview, failures: list[BaseException]
    ) -> tuple[dict[str, Any], int]:
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
        """Make the object of its parts, and return how often that was repeated."""
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
                # an earlier attempt may have done it, and only its answer was lost
                raise ObjectExistsError(str(exc)) from exc
            raise
        return len(repeated)


def _start(work: Callable[[], None], number: int, started: list[threading.Thread]) -> None:
    """Start so many threads that work, or as many as can be had, and note them."""
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
