"""Which manifests compactions have replaced so long ago that their shards can go."""

from __future__ import annotations

import collections
from collections.abc import Iterable

from beam_s3box.engine.run_reader import read_run
from beam_s3box.engine.shard_lists import ListedShard
from beam_s3box.errors import S3BoxError, TransientStoreError
from beam_s3box.runs.gc.run_states import RunState, RunStates
from beam_s3box.runs.replaced import replaced_by
from beam_s3box.stores import Store


class Replacements:
    """The manifests of runs that finished compactions have replaced.

    Args:
      store: the destination.
      runs: all runs below it.
      limit: only compactions that finished before this time, in seconds since the epoch by the store's clock.

    Attributes:
      damaged: compactions whose manifests or lists can't be read, with the reason: they replace nothing.
    """

    def __init__(self, store: Store, runs: RunStates, limit: float) -> None:
        self._store = store
        self._manifests: dict[str, set[tuple[str, str]]] = {}
        self._whole: set[str] = set()
        self.damaged: dict[str, str] = {}
        for state in self._settled(runs, limit):
            try:
                self._add(state)
            except TransientStoreError:
                raise
            except S3BoxError as exc:
                self.damaged[state.run_id] = str(exc)

    def __contains__(self, run_id: str) -> bool:
        """Return whether something of a run is replaced."""
        return run_id in self._manifests or run_id in self._whole

    def has(self, run_id: str, row: ListedShard) -> bool:
        """Return whether the manifest that lists a shard is replaced."""
        if run_id in self._whole:
            return True
        return (row.manifest, row.manifest_sha256) in self._manifests.get(run_id, ())

    @staticmethod
    def _settled(runs: RunStates, limit: float) -> Iterable[RunState]:
        return (
            state
            for state in runs
            if state.kind == "compact" and state.state == "finished" and state.changed < limit and state.parent
        )

    def _add(self, state: RunState) -> None:
        run = read_run(self._store, state.run_id)
        if run is None or state.parent is None:
            return
        if not run.record.manifests:
            # of a run without manifests all shards are joined at once
            collections.deque(run.shards(), 0)
            self._whole.add(state.parent)
            return
        root = f"{self._store.root}/"
        keys = (manifest.key for manifest in run.manifests())
        rows = [(row.url.removeprefix(root), row.sha256) for row in replaced_by(self._store, keys)]
        self._manifests.setdefault(state.parent, set()).update(rows)
