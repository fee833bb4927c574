"""What a worker process shares between DoFns: threads and counters."""

from __future__ import annotations

import functools
import os
import threading

from apache_beam.metrics import Metrics as BeamMetrics
from apache_beam.metrics.metricbase import Counter, Distribution

from beam_s3box.engine.claims import RunClaim
from beam_s3box.errors import RunExistsError
from beam_s3box.metrics import NAMESPACE, PROGRESS
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads
from beam_s3box.transforms.engines import LOCAL_RUNNERS

_CLAIMED: set[tuple[str, RunClaim]] = set()
"""Run ids that this process has claimed, each with the root of its store."""


_FINISHED: set[tuple[str, RunClaim]] = set()
"""The same for runs that this process has finished, on a runner that does no work of a finished run again."""

_RUN_ONCE = LOCAL_RUNNERS | {"PrismRunner"}
"""Runners that may work in the process of the user's program."""

_CHECKED: set[tuple[str, RunClaim]] = set()
"""The same for destinations that this process has tried to write to."""

_CHECK_LOCK = threading.Lock()
"""Two checks at a time would meet each other's object."""


@functools.cache
def codec_threads() -> Threads:
    """Return the threads of this process for compression, one per core: zlib-ng releases the GIL."""
    return Threads(max(2, os.cpu_count() or 2), "beam_s3box-codec")


@functools.cache
def upload_threads(concurrency: int) -> Threads:
    """Return the threads of this process for requests to the store, shared by all steps: starting threads is slow."""
    return Threads(concurrency, "beam_s3box-upload")


def claim_once(store: Store, claim: RunClaim) -> None:
    """Claim the run id, once in this process; raise what `RunClaim.take` raises."""
    if (store.root, claim) not in _CLAIMED:
        claim.take(store)
        _CLAIMED.add((store.root, claim))


def claim_at_begin(store: Store, claim: RunClaim) -> None:
    """Claim the run id before the first record; raise what `claim_once` raises, and for a pipeline that runs twice."""
    if (store.root, claim) in _FINISHED:
        raise RunExistsError(
            f"run {claim.layout.run_id} below {store.root} has finished, and counts: this Pipeline object was run "
            "before, and its write would replace what it listed then. Build a new Pipeline for each run; "
            "`with beam.Pipeline()` runs it at the end of the block, without a call of run()"
        )
    claim_once(store, claim)


def note_finished(store: Store, claim: RunClaim) -> None:
    """Remember that the run has finished, so that the same pipeline can't be run again in this process."""
    if claim.origin.runner in _RUN_ONCE:
        _FINISHED.add((store.root, claim))


def check_once(store: Store, claim: RunClaim) -> None:
    """Try to write, once in this process for each run; raise what `Store.check_writable` raises."""
    with _CHECK_LOCK:
        if (store.root, claim) not in _CHECKED:
            store.check_writable()
            _CHECKED.add((store.root, claim))


class BeamCounts:
    """Counts in Beam's metrics and in the progress of this process; only for the thread of the bundle."""

    def count(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        _counter(name).inc(number)
        PROGRESS.count(name, number)

    def measure(self, name: str, value: int) -> None:
        """Add a value to a distribution."""
        _distribution(name).update(value)
        PROGRESS.measure(name, value)


@functools.cache
def _counter(name: str) -> Counter:
    return BeamMetrics.counter(NAMESPACE, name)


@functools.cache
def _distribution(name: str) -> Distribution:
    return BeamMetrics.distribution(NAMESPACE, name)
