"""How much memory a box may use, and for what."""

from __future__ import annotations

from typing import Final

from beam_s3box.shards.limits import StreamLimits
from beam_s3box.sizes import LINE_COST, KiB, MiB

BATCH_BYTES: Final = 64 * KiB
"""Memory of the lines that go to the builder together: in comparison the cost of a batch is nothing."""

STRIPES: Final = 16
STRIPE_BYTES: Final = 64 * KiB
"""Memory of the lines that wait in one stripe."""

SHARDS_BYTES: Final = 16 * MiB
"""Memory for shards in flight, in addition to one buffer, before callers wait. A shard as large as the buffer takes
twice its size while it is uploaded; the rest of the promised 64 MB is for lines, boto3 and what malloc keeps."""

NO_BUDGET: Final = 1 << 62
"""For one stream, whose shards are sealed by their limits: the builder never has to flush early."""


def batch_limits(limits: StreamLimits) -> tuple[int, int]:
    """Return how much memory a batch may take, and how much a line counts for: no batch is larger than a shard."""
    batch_bytes = min(BATCH_BYTES, limits.max_raw_bytes or BATCH_BYTES, limits.max_object_bytes)
    return batch_bytes, max(LINE_COST, -(-batch_bytes // (limits.max_records or batch_bytes)))
