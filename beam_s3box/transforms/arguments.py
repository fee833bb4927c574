"""Arguments of the write: checked when it is built, with an error that names parameter, value and rule."""

from __future__ import annotations

import weakref
from typing import Final, Literal

import apache_beam as beam

from beam_s3box.checks import check_whole
from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import Format
from beam_s3box.records.selector import StreamSelector

OnBadRecord = Literal["dead_letter", "fail"]
Rests = Literal["auto", "pack", "seal"]
Packing = Literal["auto", "group", "stateful"]

_MOST_UPLOADS: Final = 256
"""At a time in a process: more connections make S3 slow down."""


def manifests_for(format: Format, manifests: Manifests | Literal["auto"] | None) -> Manifests | None:
    """Return how many manifests to write, or None for none; what COPY can't load has none."""
    if manifests == "auto":
        return Manifests() if format.copy_clause else None
    if manifests is not None and not isinstance(manifests, Manifests):
        raise ConfigurationError(f"manifests={manifests!r} must be a Manifests, None or 'auto'")
    if manifests is not None and format.copy_clause is None:
        raise ConfigurationError(
            f"format={format.name!r} and manifests={manifests!r} exclude each other: COPY can't load rows "
            "from it; use format='json-lines', or manifests=None"
        )
    return manifests


def fails_on_bad_record(on_bad_record: str) -> bool:
    """Return whether a bad record fails the pipeline."""
    if on_bad_record not in ("dead_letter", "fail"):
        raise ConfigurationError(f"on_bad_record={on_bad_record!r} must be 'dead_letter' or 'fail'")
    return on_bad_record == "fail"


def checked_concurrency(value: int) -> int:
    """Return the number of uploads at a time."""
    return check_whole("upload_concurrency", value, 1, _MOST_UPLOADS)


def checked_rests(rests: str) -> str:
    """Return what a bundle does with its rests."""
    if rests not in ("auto", "pack", "seal"):
        raise ConfigurationError(f"rests={rests!r} must be 'auto', 'pack' or 'seal'")
    return rests


def checked_packing(packing: str) -> str:
    """Return the form of packing."""
    if packing not in ("auto", "group", "stateful"):
        raise ConfigurationError(f"packing={packing!r} must be 'auto', 'group' or 'stateful'")
    return packing


def named_by(constant: str | None, field: str | None, naming: StreamSelector) -> str:
    """Return how one half of a stream's name is found, for people."""
    if field is not None:
        return f"field {field}"
    if constant is not None:
        return constant
    return "by key" if naming.is_keyed else "by function"


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
