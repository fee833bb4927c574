"""What S3's answers tell of objects, and their bytes, checked."""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import Any

from beam_s3box.stores.base import ObjectInfo
from beam_s3box.stores.s3_answers import OddAnswer

_SHA256 = re.compile(r"[0-9a-f]{64}")


def listed(root: str, entry: Any) -> ObjectInfo:
    """Return what a listing tells of an object below a root."""
    return ObjectInfo(entry["Key"][len(root) :], entry["Size"], None, entry["LastModified"].timestamp(), _etag(entry))


def looked_up(key: str, answer: Any) -> ObjectInfo:
    """Return what a HEAD tells of an object; its checksum only if this package wrote it."""
    modified = answer["LastModified"].timestamp()
    return ObjectInfo(key, answer["ContentLength"], _told(answer), modified, _etag(answer))


def read_with_info(key: str, answer: Any) -> tuple[bytes, ObjectInfo]:
    """Return an object's bytes, and what is known of them; the checksum is that of the bytes that came."""
    body = read(answer)
    return body, looked_up(key, answer)._replace(sha256=hashlib.sha256(body).hexdigest())


def read(answer: Any) -> bytes:
    """Return an object's bytes.

    Raises:
      OddAnswer: not all of them came, or not those that this package wrote.
    """
    with contextlib.closing(answer["Body"]) as stream:
        body: bytes = stream.read()
    if len(body) != answer["ContentLength"]:
        raise OddAnswer(f"{len(body)} of {answer['ContentLength']} bytes")
    told = _told(answer)
    if told is not None and _SHA256.fullmatch(told) and hashlib.sha256(body).hexdigest() != told:
        raise OddAnswer(f"bytes that have not the SHA-256 {told} that they were written with")
    return body


def _told(answer: Any) -> str | None:
    """Return the checksum that the object was written with, if this package wrote it."""
    # some servers write the names of metadata with a capital
    told: dict[str, str] = {name.lower(): value for name, value in answer["Metadata"].items()}
    return told.get("sha256")


def quoted(etag: str) -> str:
    """Return an ETag as a condition names it."""
    return f'"{etag}"'


def _etag(answer: Any) -> str:
    # some servers quote it in one answer and not in another, and some leave it out of listings
    return str(answer.get("ETag", "")).strip('"')
