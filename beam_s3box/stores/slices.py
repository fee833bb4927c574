"""Slices of objects, and objects that are joined of them: on S3 the server copies what is large enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from beam_s3box.errors import ObjectChangedError
from beam_s3box.stores.base import Store
from beam_s3box.stores.s3 import S3Store


class Slice(NamedTuple):
    """Some consecutive bytes of an object.

    Attributes:
      key: the key of the object below the store's root.
      etag: of the object's version.
      start, stop: the first byte, and the one behind the last.
    """

    key: str
    etag: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.stop - self.start


Piece: TypeAlias = bytes | Slice
"""A part of a joined object: bytes, or a slice of another object."""


def size_of_piece(piece: Piece) -> int:
    """Return the number of bytes."""
    return piece.size if isinstance(piece, Slice) else len(piece)


def read_piece(store: Store, piece: Piece) -> bytes:
    """Return the bytes of a piece.

    Raises:
      ObjectChangedError: the object of a slice has another ETag.
      StoreError: it can't be read.
    """
    if not isinstance(piece, Slice):
        return piece
    if isinstance(store, S3Store):
        from beam_s3box.stores.s3_join import read_slice

        return read_slice(store, piece)
    body, info = store.read(piece.key)
    if info.etag != piece.etag:
        raise ObjectChangedError(f"{store.url(piece.key)} was replaced while it was read")
    return body[piece.start : piece.stop]


def put_joined(store: Store, key: str, pieces: Sequence[Piece], *, sha256: str, content_type: str) -> int:
    """Create an object that consists of these pieces, and return the number of attempts; see `Store.put`.

    On S3 the server copies slices of at least 5 MiB; the others are read and sent.

    Raises:
      ObjectExistsError: there is an object with this key.
      ObjectChangedError: the object of a slice has another ETag.
      StoreError: the store refused or failed, after its retries.
    """
    if isinstance(store, S3Store):
        from beam_s3box.stores.s3_join import put_joined_on_s3

        return put_joined_on_s3(store, key, pieces, sha256, content_type)
    body = b"".join(read_piece(store, piece) for piece in pieces)
    return store.put(key, body, sha256=sha256, content_type=content_type)
