"""What a box has done so far."""

from __future__ import annotations

from typing import NamedTuple


class BoxStats(NamedTuple):
    """What a box has done so far.

    Attributes:
      records: records packed.
      raw_bytes: the bytes of these records before compression, with the separators between them in a shard.
      object_bytes: the bytes of the shards in the store.
      shards: the number of shards in the store.
      pending: records that are not in the store yet: buffered, in flight, or kept after a failed upload.
      failed: shards whose upload failed, kept for the next `seal()`.
    """

    records: int
    raw_bytes: int
    object_bytes: int
    shards: int
    pending: int
    failed: int
