"""When a file was found for the first time, kept in the store: it survives when a runner goes back."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import orjson

from beam_s3box.errors import ObjectExistsError
from beam_s3box.jobs.read.event_times import OLDEST_ARRIVAL
from beam_s3box.stores import Store

_NAME_CHARACTERS = 32


class FoundNotes(NamedTuple):
    """One small object for each file, written once.

    Attributes:
      store: where the run writes.
      run_id: of the run.
    """

    store: Store
    run_id: str

    def first(self, path: str, found: int) -> int:
        """Return when a file was found for the first time in the life of the run, in microseconds since 1970.

        Args:
          path: of the file.
          found: when it is found now.

        Raises:
          StoreError: the store refused or failed.
        """
        name = hashlib.sha256(path.encode()).hexdigest()[:_NAME_CHARACTERS]
        key, body = f"runs/{self.run_id}/found-{name}.json", orjson.dumps({"path": path, "found_micros": found})
        try:
            self.store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/json")
        except ObjectExistsError:
            # a bundle that is done again, or the job before it went back to a checkpoint
            noted = int(orjson.loads(self.store.get(key))["found_micros"])
            # the window of a longer time ago may be gone: another file has the path now, or the job stood still
            return noted if found - noted <= OLDEST_ARRIVAL else found
        return found
