"""Finds the files that patterns match, local, on S3 or wherever Beam lists them, as they are at that moment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.input_files import S3Access
from beam_s3box.stores.base import ObjectInfo
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_objects import quoted
from beam_s3box.system.globs import Glob, local_matches, no_match
from beam_s3box.system.local_files import stat_input, version_in

_S3_PATTERN: Final = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)


class FoundInput(NamedTuple):
    """A file.

    Attributes:
      path: its name.
      size: bytes.
      version: distinguishes its content from another's; empty where nothing does.
      changed: when it was last changed, in seconds since 1970; 0 if that is not known.
    """

    path: str
    size: int
    version: str
    changed: float


def find_input(
    patterns: Sequence[str],
    access: S3Access,
    *,
    must_match: bool = True,
    skipped: Callable[[str], None] = lambda path: None,
    refused: Callable[[ConfigurationError], None] | None = None,
) -> Iterator[FoundInput]:
    """Yield the files that the patterns match, each once.

    Args:
      patterns: paths and globs, see `beam_s3box.system.globs`.
      access: to objects.
      must_match: whether a pattern that matches nothing is an error.
      skipped: is called with the paths that match, and hold no data, as `_SUCCESS`.
      refused: is called with what is wrong with a local path that can't be read, as a link to nothing or a pipe, and
        the path is left out; None raises it.

    Raises:
      ConfigurationError: a pattern matches nothing, or can't be one, or a local path can't be read.
      StoreError: a bucket can't be listed.
    """
    seen: set[str] = set()
    for pattern in dict.fromkeys(patterns):
        is_matched, find = False, _finder_of(pattern, refused)
        glob = Glob.of(pattern)
        for file in find(pattern, access):
            is_matched = True
            if glob.is_open and glob.hides(file.path):
                skipped(file.path)
            elif len(patterns) == 1:
                yield file
            elif (place := _place_of(file.path)) not in seen:
                seen.add(place)
                yield file
        if must_match and not is_matched:
            raise no_match(pattern, is_folder=_is_folder(pattern, access))


def _finder_of(
    pattern: str, refused: Callable[[ConfigurationError], None] | None
) -> Callable[[str, S3Access], Iterator[FoundInput]]:
    scheme = FileSystems.get_scheme(pattern)
    if scheme is None:
        return lambda pattern, access: _find_local(pattern, refused)
    return _find_objects if scheme == "s3" else _find_elsewhere


def _place_of(path: str) -> str:
    """Return one text for all names of a path, as `data/a` and `./data/a`."""
    return os.path.abspath(path) if FileSystems.get_scheme(path) is None else path


def _find_local(pattern: str, refused: Callable[[ConfigurationError], None] | None) -> Iterator[FoundInput]:
    glob = Glob.of(pattern)
    for path in local_matches(pattern):
        try:
            found = stat_input(path)
        except FileNotFoundError:
            continue  # removed since it was listed
        except ConfigurationError as exc:
            if glob.hides(path):
                continue  # as the locks of editors, which are links to nothing
            if refused is None:
                raise
            refused(exc)
            continue
        yield FoundInput(path, found.st_size, version_in(found), found.st_mtime)


def _find_objects(pattern: str, access: S3Access) -> Iterator[FoundInput]:
    bucket, keys = bucket_of(pattern)
    glob = Glob.of(keys)
    matches = glob.matcher().fullmatch
    found: Iterable[ObjectInfo]
    store = S3Store(f"s3://{bucket}", *access)
    # real names have brackets too, and the name of an object is no pattern; it is the first of all that begin with it
    exact = next(store.list(keys), None) if "[" in keys or not glob.is_open else None
    if exact is not None and exact.key == keys:
        found = [exact]
    else:
        found = (one for one in store.list(glob.prefix) if matches(one.key)) if glob.is_open else ()
    for one in found:
        version = quoted(one.etag) if one.etag else ""
        yield FoundInput(f"s3://{bucket}/{one.key}", one.size, version, one.modified)


def _find_elsewhere(pattern: str, access: S3Access) -> Iterator[FoundInput]:
    try:
        (result,) = FileSystems.match([pattern])
    except (BeamIOError, ValueError) as exc:
        raise ConfigurationError(f"input={pattern!r} can't be read: {exc}") from exc
    for file in result.metadata_list:
        yield FoundInput(file.path, file.size_in_bytes, "", file.last_updated_in_seconds)


def bucket_of(pattern: str) -> tuple[str, str]:
    """Return the bucket and the rest of an `s3://` pattern.

    Raises:
      ConfigurationError: it has no rest.
    """
    match = _S3_PATTERN.fullmatch(pattern)
    if match is None:
        raise ConfigurationError(f"input={pattern!r} must be s3://bucket/pattern")
    return match[1], match[2]


def _is_folder(pattern: str, access: S3Access) -> bool:
    scheme = FileSystems.get_scheme(pattern)
    if scheme is None:
        return os.path.isdir(pattern)
    if scheme != "s3":
        return False
    bucket, keys = bucket_of(pattern)
    below = S3Store(f"s3://{bucket}", *access).list(keys.rstrip("/") + "/")
    return next(below, None) is not None
