"""A run id names one finished run: a run that is about to write manifests says so first, in `runs/{run_id}.json`.

The record holds the attempt that wrote it, so that a worker which starts late in the same run knows its own. Asking for
one key needs no listing, and no right to list.
"""

from __future__ import annotations

import dataclasses
import hashlib

import orjson

from beam_s3box.errors import AccessError, ObjectExistsError, ObjectNotFoundError, RunExistsError
from beam_s3box.layout import Layout
from beam_s3box.stores import Store


@dataclasses.dataclass(frozen=True)
class RunClaim:
    """One execution's claim to its run id.

    Attributes:
      layout: of the run.
      attempt: random, made when the pipeline is built.
    """

    layout: Layout
    attempt: str

    def check(self, store: Store) -> None:
        """Raise RunExistsError if another execution has written manifests under this run id."""
        try:
            holder = self._holder(store)
        except AccessError:
            # without the right to list, S3 answers 403 for a key that is not there; manifests are create-only, so a
            # second run under this id still ends with an error and lists nothing
            return
        self._compare(holder, store)

    def _compare(self, holder: str | None, store: Store) -> None:
        if holder is not None and holder != self.attempt:
            raise RunExistsError(
                f"run_id={self.layout.run_id!r} already wrote manifests below {store.root}: a run id names one "
                "finished run; use a new run_id, or none to get one"
            )

    def take(self, store: Store, *, may_replace: bool = False) -> None:
        """Record that this execution writes manifests from now on.

        Args:
          store: where to.
          may_replace: whether it may replace manifests: then it has to be sure that none are another execution's.

        Raises:
          RunExistsError: another execution did.
          AccessError: somebody did, and who can't be read.
          StoreError: the store refused or failed.
        """
        body = orjson.dumps({"run_id": self.layout.run_id, "attempt": self.attempt})
        try:
            store.put(self.layout.run, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/json")
        except ObjectExistsError:
            if may_replace:
                self._compare(self._holder(store), store)
            else:
                self.check(store)

    def _holder(self, store: Store) -> str | None:
        try:
            return str(orjson.loads(store.get(self.layout.run))["attempt"])
        except ObjectNotFoundError:
            return None
