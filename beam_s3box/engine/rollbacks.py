"""The mark of a rollback: which firing of an unbounded run is replaced, for workers that the rollback has outdated.

It is written before anything is removed. An outdated worker writes its manifests first and reads the mark then; whoever
replaces writes the mark first and looks for manifests then. So one of the two sees what the other has written. A mark
says what somebody is about to do, who may not come to it: nothing is removed because of a mark alone.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import orjson

from beam_s3box.engine.lineage import text_of
from beam_s3box.engine.manifests import ManifestPlan
from beam_s3box.errors import AccessError, ObjectNotFoundError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import Store

_CONTENT_TYPE: Final = "application/json"


class Rollback(NamedTuple):
    """The firing of a stream or run that was replaced last, or is about to be.

    Attributes:
      firing: its number.
      sha256: the SHA-256 of the text that the first of its manifests has then, hexadecimal.
      modified: the time of the mark, by the store's clock.
    """

    firing: int
    sha256: str
    modified: float


def mark_rollback(store: Store, layout: Layout, first: ManifestPlan, began: float) -> None:
    """Say that a firing is about to be replaced.

    Args:
      store: the store.
      layout: of an unbounded run.
      first: the new plan of the first manifest of the firing.
      began: the time when the bundle began. It makes each mark another text: a store may keep the time of equal bytes.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    sha256 = hashlib.sha256(text_of(first)).hexdigest()
    body = orjson.dumps({"firing": first.firing, "sha256": sha256, "began": began})
    digest = hashlib.sha256(body).hexdigest()
    store.put(layout.rollback(first.stream), body, sha256=digest, content_type=_CONTENT_TYPE, replace=True)


def last_rollback(store: Store, layout: Layout, stream: Stream | None) -> Rollback | None:
    """Return what was marked last for a stream, or for the whole run; None if nothing was, or nothing can be read.

    Raises:
      StoreError: the store failed, after its retries.
    """
    try:
        body, info = store.read(layout.rollback(stream))
    except (AccessError, ObjectNotFoundError):
        # without s3:ListBucket, S3 responds with 403 for a key that does not exist, as this one mostly does not
        return None
    mark = orjson.loads(body)
    return Rollback(mark["firing"], mark["sha256"], info.modified)
