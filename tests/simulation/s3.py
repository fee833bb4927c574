"""A client of S3 over objects in memory: linearizable, with conditions, parts and checksums, and a fault for any request.

It stands for boto3's client: what is above it, retries, answers and repeated requests, is the package's own code.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import email.utils
import hashlib
import io
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from beam_s3box.stores import S3Settings
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_client import Connected
from beam_s3box.stores.s3_clock import ServerClock
from tests.simulation.world import Actor, World

_URL: Final = "https://s3.example"
_PART_BYTES: Final = 150


@dataclasses.dataclass
class Stored:
    body: bytes
    modified: float
    metadata: dict[str, str]

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


@dataclasses.dataclass
class Upload:
    key: str
    metadata: dict[str, str]
    parts: dict[int, bytes] = dataclasses.field(default_factory=dict)


class SimS3:
    """The server and the client of one bucket.

    Args:
      world: decides what fails.
      checks: whether the server compares checksums, as AWS does; others store what arrives.
    """

    def __init__(self, world: World, *, checks: bool) -> None:
        self.world = world
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, Upload] = {}
        self._completed: set[str] = set()
        self._checks = checks
        self._throttled = 0
        self.late = 0
        self.violations: list[str] = []
        self.uncovered = 0
        self._looks: dict[tuple[str, Actor | None], float] = {}
        self._met: dict[str, list[tuple[float, Actor | None, str]]] = {}

    # ------------------------------------------------------------ operations

    def put_object(self, **sent: Any) -> Any:
        key = sent["Key"]

        def effect() -> dict[str, Any]:
            body = _bytes_of(sent["Body"])
            self._check_sum(body, sent.get("ChecksumSHA256"), "PutObject")
            self._check_condition("PutObject", key, sent, body)
            return self._store(key, body, sent.get("Metadata", {}))

        return self._request("PutObject", sent, effect)

    def get_object(self, **sent: Any) -> Any:
        def effect() -> dict[str, Any]:
            found = self._find("GetObject", sent["Key"])
            return {**_head(found), "Body": io.BytesIO(found.body)}

        return self._request("GetObject", sent, effect)

    def head_object(self, **sent: Any) -> Any:
        return self._request("HeadObject", sent, lambda: _head(self._find("HeadObject", sent["Key"])))

    def list_objects_v2(self, **sent: Any) -> Any:
        def effect() -> dict[str, Any]:
            after = sent.get("ContinuationToken", "")
            found = sorted(key for key in self.objects if key.startswith(sent["Prefix"]) and key > after)
            page = found[:7]
            entries = [{"Key": key, "Size": len(self.objects[key].body), **_dated(self.objects[key])} for key in page]
            more = {"NextContinuationToken": page[-1]} if len(found) > len(page) else {}
            return {"Contents": entries, "IsTruncated": bool(more), **more}

        return self._request("ListObjectsV2", sent, effect)

    def delete_object(self, **sent: Any) -> Any:
        key = sent["Key"]

        def effect() -> dict[str, Any]:
            if "IfMatch" in sent:
                self._check_condition("DeleteObject", key, sent)
            if key in self.objects and not _may_change(key):
                self.violations.append(f"{key} was removed")
            self.objects.pop(key, None)
            return {}

        return self._request("DeleteObject", sent, effect, status=204)

    def create_multipart_upload(self, **sent: Any) -> Any:
        def effect() -> dict[str, Any]:
            name = self.world.token()
            self.uploads[name] = Upload(sent["Key"], sent.get("Metadata", {}))
            return {"UploadId": name}

        return self._request("CreateMultipartUpload", sent, effect)

    def upload_part(self, **sent: Any) -> Any:
        def effect() -> dict[str, Any]:
            body = _bytes_of(sent["Body"])
            self._check_sum(body, sent.get("ChecksumSHA256"), "UploadPart")
            self._upload("UploadPart", sent["UploadId"]).parts[sent["PartNumber"]] = body
            return {"ETag": Stored(body, 0, {}).etag}

        return self._request("UploadPart", sent, effect)

    def complete_multipart_upload(self, **sent: Any) -> Any:
        key, name = sent["Key"], sent["UploadId"]

        def effect() -> dict[str, Any]:
            upload = self._upload("CompleteMultipartUpload", name)
            numbers = [part["PartNumber"] for part in sent["MultipartUpload"]["Parts"]]
            if numbers != sorted(numbers) or any(number not in upload.parts for number in numbers):
                raise self._error("CompleteMultipartUpload", "InvalidPart", 400)
            body = b"".join(upload.parts[number] for number in numbers)
            self._check_condition("CompleteMultipartUpload", key, sent, body)
            del self.uploads[name]
            stored = self._store(key, body, upload.metadata)
            return {**stored, "Key": key}

        return self._request("CompleteMultipartUpload", sent, effect)

    def abort_multipart_upload(self, **sent: Any) -> Any:
        def effect() -> dict[str, Any]:
            self._upload("AbortMultipartUpload", sent["UploadId"])
            del self.uploads[sent["UploadId"]]
            return {}

        return self._request("AbortMultipartUpload", sent, effect, status=204)

    # ------------------------------------------------------------ the way there and back

    def _request(
        self, operation: str, sent: dict[str, Any], effect: Callable[[], dict[str, Any]], status: int = 200
    ) -> Any:
        world = self.world
        world.pause()
        self._fail_before(operation, sent)
        if operation not in ("GetObject", "HeadObject", "ListObjectsV2") and world.fails(
            "reply lost, lands later", 0.004
        ):
            self._land_later(operation, sent, effect)
            raise ReadTimeoutError(endpoint_url=_URL)
        answer = effect()
        self._note_look(operation, sent, answer)
        world.pause()
        if world.fails("reply lost", 0.01):
            raise ReadTimeoutError(endpoint_url=_URL)
        if "ETag" in answer and world.fails("200 without an ETag", 0.004):
            del answer["ETag"]
        if "Body" in answer and world.fails("body cut", 0.01):
            answer["Body"] = io.BytesIO(answer["Body"].read()[:-1])
        date = email.utils.formatdate(world.now, usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"date": date}}}

    def _fail_before(self, operation: str, sent: dict[str, Any]) -> None:
        world = self.world
        if self._throttled or world.fails("503 in a row", 0.004):
            self._throttled = self._throttled - 1 if self._throttled else world.choices.below(6)
            self._read_some(sent)
            raise self._error(operation, "SlowDown", 503)
        if world.fails("connection cut", 0.01):
            self._read_some(sent)
            raise ConnectionClosedError(endpoint_url=_URL)
        if ("IfNoneMatch" in sent or "IfMatch" in sent) and world.fails("409", 0.01):
            raise self._error(operation, "ConditionalRequestConflict", 409)
        if world.fails("token expired", 0.003):
            raise self._error(operation, "ExpiredToken", 400)
        if world.fails("slow", 0.005):
            world.sleep(8.0)

    def _read_some(self, sent: dict[str, Any]) -> None:
        """Take a part of the body, as a connection does that breaks off."""
        body = sent.get("Body")
        if body is not None and not isinstance(body, bytes):
            body.read(_PART_BYTES // 2)

    def _note_look(self, operation: str, sent: dict[str, Any], answer: dict[str, Any]) -> None:
        """Note when a worker learned the ETag of an object."""
        if operation in ("GetObject", "HeadObject"):
            self._looks[sent["Key"], self.world.process] = self.world.now
        if operation == "ListObjectsV2":
            self._looks.update(((one["Key"], self.world.process), self.world.now) for one in answer["Contents"])

    def _note_met(self, key: str, found: Stored) -> None:
        """Note that a worker wrote this text, or found that what it was to write exists already."""
        self._met.setdefault(key, []).append((self.world.now, self.world.process, found.etag))

    def _note_change(self, key: str, etag: str) -> None:
        """Count what the protocol does not cover: a change under an ETag that is that of another life's text by now.

        A worker looks, one that began later writes or finds the very text that it has seen, and then it changes that.
        """
        process = self.world.process
        look = self._looks.get((key, process), self.world.now)
        self.uncovered += any(
            at > look and met == etag and process is not None and other is not None and other.began > process.began
            for at, other, met in self._met.get(key, ())
        )

    def _land_later(self, operation: str, sent: dict[str, Any], effect: Callable[[], dict[str, Any]]) -> None:
        if "Body" in sent:
            sent["Body"] = _bytes_of(sent["Body"])  # it is under way
        self.late += 1

        def land() -> None:
            self.world.sleep(0.05 + self.world.choices.below(30) / 10)
            self.late -= 1
            effect()

        self.world.spawn(f"late {operation} {sent.get('Key')}", land)

    def _error(self, operation: str, code: str, status: int) -> ClientError:
        headers = {"date": email.utils.formatdate(self.world.now, usegmt=True)}
        answer: Any = {
            "Error": {"Code": code, "Message": code},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
        }
        return ClientError(answer, operation)

    # ------------------------------------------------------------ the server

    def _store(self, key: str, body: bytes, metadata: dict[str, str]) -> dict[str, Any]:
        before = self.objects.get(key)
        if before is not None and before.body != body and not _may_change(key):
            self.violations.append(f"{key} was written over")
        stored = self.objects[key] = Stored(body, self.world.now, metadata)
        self._note_met(key, stored)
        return {"ETag": stored.etag}

    def _find(self, operation: str, key: str) -> Stored:
        if key not in self.objects:
            raise self._error(operation, "404" if operation == "HeadObject" else "NoSuchKey", 404)
        return self.objects[key]

    def _upload(self, operation: str, name: str) -> Upload:
        if name not in self.uploads:
            raise self._error(operation, "NoSuchUpload", 404)
        return self.uploads[name]

    def _check_condition(self, operation: str, key: str, sent: dict[str, Any], body: bytes = b"") -> None:
        found = self.objects.get(key)
        if sent.get("IfNoneMatch") == "*" and found is not None:
            if found.body == body:
                self._note_met(key, found)
            raise self._error(operation, "PreconditionFailed", 412)
        if "IfMatch" in sent:
            if found is None:
                raise self._error(operation, "NoSuchKey", 404)
            if found.etag != sent["IfMatch"]:
                raise self._error(operation, "PreconditionFailed", 412)
            if found.body != body:
                self._note_change(key, found.etag)

    def _check_sum(self, body: bytes, checksum: str | None, operation: str) -> None:
        if self._checks and checksum and base64.b64encode(hashlib.sha256(body).digest()).decode() != checksum:
            raise self._error(operation, "BadDigest", 400)


class _Connection:
    """Always the same client; expired keys are renewed."""

    def __init__(self, client: Any) -> None:
        self._connected = Connected.__new__(Connected)
        self._connected.client = client
        self._connected.keys = None
        self._connected.clock = ServerClock()

    def get(self) -> Connected:
        return self._connected

    def renew(self, refused: Connected) -> bool:
        return True


def sim_store(client: Any, *, checksums: bool) -> S3Store:
    """Return the package's store over such a client; objects of more than a few hundred bytes go in parts."""
    settings = S3Settings(checksums=checksums, concurrency=1, multipart_bytes=2 * _PART_BYTES)
    object.__setattr__(settings, "part_bytes", _PART_BYTES)  # a real server takes no part below 5 MiB
    store = S3Store("s3://bucket/prefix", settings)
    vars(store)["_connection"] = _Connection(client)
    return store


def _may_change(key: str) -> bool:
    return key.startswith(("prefix/manifests/", "prefix/runs/"))


def _bytes_of(body: Any) -> bytes:
    return body if isinstance(body, bytes) else bytes(body.read())


def _head(found: Stored) -> dict[str, Any]:
    return {"ContentLength": len(found.body), "Metadata": dict(found.metadata), **_dated(found)}


def _dated(found: Stored) -> dict[str, Any]:
    modified = datetime.datetime.fromtimestamp(int(found.modified), datetime.UTC)
    return {"ETag": found.etag, "LastModified": modified}
