"""What a write shows and checks of its arguments when it is applied."""

from __future__ import annotations

import weakref

import apache_beam as beam

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.selector import StreamSelector
from beam_s3box.stores import LocalStore, MemoryStore, Store
from beam_s3box.transforms.engines import workers_may_be_elsewhere


def named_by(constant: str | None, field: str | None, selector: StreamSelector) -> str:
    """Return, for people, how one half of a stream's name is found."""
    if field is not None:
        return f"field {field}"
    if constant is not None:
        return constant
    return "by key" if selector.is_keyed else "by function"


def check_reachable(destination: object, store: Store, pipeline: beam.Pipeline) -> None:
    """Raise ConfigurationError for a folder, or memory, that the workers of this pipeline may not share.

    A LocalStore that the user made is taken: its folder may be on a disk that all workers have.
    """
    is_local = isinstance(store, MemoryStore) or (isinstance(store, LocalStore) and store is not destination)
    if is_local and workers_may_be_elsewhere(pipeline):
        raise ConfigurationError(
            f"destination={str(destination)!r} is local, and the workers of {type(pipeline.runner).__name__} may be on "
            "other machines or in containers, whose files and memory nobody would find: write to s3://bucket/prefix, "
            "run the workers in this process by --environment_type=LOOPBACK, or give LocalStore('/folder') for a "
            "folder that all of them share"
        )


_WRITES: weakref.WeakKeyDictionary[beam.Pipeline, set[tuple[str, str]]] = weakref.WeakKeyDictionary()
"""Root and run id of each write of the pipelines that are being built."""


def check_only_write(pipeline: beam.Pipeline, root: str, run_id: str) -> None:
    """Raise ConfigurationError if another write of the pipeline has this run id: each would take it from the other."""
    writes = _WRITES.setdefault(pipeline, set())
    if (root, run_id) in writes:
        raise ConfigurationError(
            f"run_id={run_id!r} names another write to {root} in this pipeline, and one run id is one run: give each "
            "write its own, or none"
        )
    writes.add((root, run_id))
