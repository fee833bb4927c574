"""Records that could not be packed: kept whole, with the reason, beside the data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from beam_s3box.formats import JSON_LINES
from beam_s3box.layout import Layout
from beam_s3box.routing import Refused
from beam_s3box.stores import Store
from beam_s3box.uploads import put_once


class DeadLetter(NamedTuple):
    """A record that could not be packed.

    Attributes:
      domain, namespace: its stream, None if that could not be told.
      reason: one of `beam_s3box.records.REASONS`.
      detail: what exactly is wrong.
      raw: the record's own bytes, or its repr if it could not be encoded.
    """

    domain: str | None
    namespace: str | None
    reason: str
    detail: str
    raw: bytes

    @classmethod
    def of(cls, refused: Refused) -> DeadLetter:
        """Return the dead letter for a refused record."""
        domain, namespace = refused.stream or (None, None)
        return cls(domain, namespace, refused.reason, refused.detail, refused.raw)

    def line(self) -> bytes:
        """Return the dead letter as a line of JSON; bytes that are not UTF-8 stand as hexadecimal under `raw_hex`."""
        fields: dict[str, object] = {
            "domain": self.domain,
            "namespace": self.namespace,
            "reason": self.reason,
            "detail": self.detail.encode("utf-8", "backslashreplace").decode("utf-8"),
        }
        try:
            fields["raw"] = self.raw.decode("utf-8")
        except UnicodeDecodeError:
            fields["raw_hex"] = self.raw.hex()
        return orjson.dumps(fields)


def write_dead_letters(store: Store, layout: Layout, origin: str, sequence: int, letters: Sequence[DeadLetter]) -> str:
    """Write dead letters as one gzip file of JSON lines, create-only, and return its key.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    body = JSON_LINES.join([JSON_LINES.cut([letter.line() for letter in letters])])
    sha256 = hashlib.sha256(body).hexdigest()
    key = layout.dead_letters(origin, sequence, sha256)
    put_once(store, key, body, sha256, JSON_LINES.content_type)
    return key
