"""An uploader that claims the run id before its first shard, for runs that nobody else claims."""

from __future__ import annotations

import threading

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.uploads import Uploaded, Uploader
from beam_s3box.formats import Format
from beam_s3box.shards.model import SealedShard
from beam_s3box.stores import Store


class ClaimingUploader(Uploader):
    """Uploads shards of one run. Safe for use by many threads."""

    def __init__(self, store: Store, format: Format, claim: RunClaim) -> None:
        super().__init__(store, format, claim.layout)
        self._claim = claim
        self._is_claimed = False
        # reentrant: if no thread can be started the caller uploads, and an interrupted call may still hold the lock
        self._lock = threading.RLock()

    def upload(self, shard: SealedShard) -> Uploaded:
        """Claim the run id if it is not claimed yet, and upload the shard."""
        with self._lock:
            if not self._is_claimed:
                self._claim.take(self._store)
                self._is_claimed = True
        return super().upload(shard)
