"""Reads objects as they are, damaged ones too, to check them."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any, NamedTuple

from beam_s3box.stores.base import Store, check_readable_key
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_answers import InvalidResponse
from beam_s3box.stores.s3_objects import written_sha256


class StoredObject(NamedTuple):
    """An object as it is.

    Attributes:
      body: its bytes.
      sha256: their SHA-256, hexadecimal.
      written_sha256: the SHA-256 that it was written with, as its metadata says; None if unknown.
    """

    body: bytes
    sha256: str
    written_sha256: str | None


def read_stored(store: Store, key: str) -> StoredObject:
    """Return an object, also if it does not have the SHA-256 that it was written with, which `Store.get` refuses.

    Raises:
      ObjectNotFoundError: it does not exist.
      StoreError: it can't be read.
    """
    if not isinstance(store, S3Store):
        body = store.get(key)
        return StoredObject(body, hashlib.sha256(body).hexdigest(), None)
    return store.requests.send("GetObject", store.full_key(check_readable_key(key)), {}, finish=_as_it_is)[0]


def _as_it_is(answer: Any) -> StoredObject:
    with contextlib.closing(answer["Body"]) as stream:
        body: bytes = stream.read()
    if len(body) != answer["ContentLength"]:
        raise InvalidResponse(f"{len(body)} of {answer['ContentLength']} bytes")
    return StoredObject(body, hashlib.sha256(body).hexdigest(), written_sha256(answer))
