"""Small objects next to a run's record: the pipeline writes them when its input has ended, the launcher reads them."""

from __future__ import annotations

import hashlib

import apache_beam as beam
from apache_beam.transforms.trigger import AccumulationMode, AfterWatermark
from apache_beam.transforms.window import GlobalWindows

from beam_s3box.errors import StoreError
from beam_s3box.stores import Store


def write_object(store: Store, key: str, body: bytes) -> None:
    """Write an object; a bundle that is retried writes the same again."""
    digest = hashlib.sha256(body).hexdigest()
    store.put(key, body, sha256=digest, content_type="application/json", replace=True)


def is_written(store: Store, key: str) -> bool:
    """Return whether an object exists; False if that can't be found out."""
    try:
        store.stat(key)
    except StoreError:
        return False
    return True


def at_the_end() -> beam.PTransform:
    """Return the step after which what comes of all windows waits for the end of the input."""
    # Beam's default trigger means the same, and is refused for unbounded input
    return beam.WindowInto(GlobalWindows(), trigger=AfterWatermark(), accumulation_mode=AccumulationMode.DISCARDING)
