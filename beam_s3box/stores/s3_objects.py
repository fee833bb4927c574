"""The properties of objects: in requests that write them, and with their bytes, verified, in responses."""

from __future__ import annotations

import contextlib
import hashlib
import re
import urllib.parse
from typing import Any

from beam_s3box.stores.base import ObjectInfo
from beam_s3box.stores.s3_answers import InvalidResponse
from beam_s3box.stores.s3_settings import S3Settings

_SHA256 = re.compile(r"[0-9a-f]{64}")


def object_parameters(settings: S3Settings, sha256: str, content_type: str) -> dict[str, Any]:
    """Return the parameters of a request that writes an object."""
    parameters = {
        "ContentType": content_type,
        "Metadata": {"sha256": sha256},
        "ServerSideEncryption": settings.sse,
        "SSEKMSKeyId": settings.sse_kms_key_id,
        "StorageClass": settings.storage_class,
        "ACL": settings.acl,
        "Tagging": urllib.parse.urlencode(settings.tags),
    }
    return {name: value for name, value in parameters.items() if value}


def listed(root: str, entry: Any) -> ObjectInfo:
    """Return the properties of an object in a listing below a root."""
    return ObjectInfo(entry["Key"][len(root) :], entry["Size"], None, entry["LastModified"].timestamp(), _etag(entry))


def looked_up(key: str, answer: Any) -> ObjectInfo:
    """Return the properties of an object in a HEAD response; its checksum only if this package wrote it."""
    modified = answer["LastModified"].timestamp()
    return ObjectInfo(key, answer["ContentLength"], written_sha256(answer), modified, _etag(answer))


def read_with_info(key: str, answer: Any) -> tuple[bytes, ObjectInfo]:
    """Return an object's bytes and its properties; the checksum is that of the received bytes."""
    body = read(answer)
    return body, looked_up(key, answer)._replace(sha256=hashlib.sha256(body).hexdigest())


def read(answer: Any) -> bytes:
    """Return an object's bytes.

    Raises:
      InvalidResponse: some are missing, or they are not the bytes that this package wrote.
    """
    with contextlib.closing(answer["Body"]) as stream:
        body: bytes = stream.read()
    if len(body) != answer["ContentLength"]:
        raise InvalidResponse(f"{len(body)} of {answer['ContentLength']} bytes")
    expected = written_sha256(answer)
    if expected is not None and _SHA256.fullmatch(expected) and hashlib.sha256(body).hexdigest() != expected:
        raise InvalidResponse(f"bytes that have not the SHA-256 {expected} that they were written with")
    return body


def written_sha256(answer: Any) -> str | None:
    """Return the checksum that the object was written with, if this package wrote it."""
    # some servers capitalize the names of metadata
    metadata: dict[str, str] = {name.lower(): value for name, value in answer["Metadata"].items()}
    return metadata.get("sha256")


def quoted(etag: str) -> str:
    """Return an ETag as it is written in a condition."""
    return f'"{etag}"'


def _etag(answer: Any) -> str:
    # some servers quote it in some responses only, and some omit it in listings
    return str(answer.get("ETag", "")).strip('"')
