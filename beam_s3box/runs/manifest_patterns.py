"""Finds manifests below a destination: by URL or key, by folder, or by pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from beam_s3box.engine.run_reader import Run, find_run
from beam_s3box.errors import ConfigurationError, ObjectNotFoundError
from beam_s3box.shards.runs import check_run_id
from beam_s3box.stores import Store
from beam_s3box.system.globs import Glob

MANIFEST_EXTENSION: Final = ".manifest"
_ROOT: Final = re.compile(r"(?P<root>s3://[^/]+|file:///)")
_KEY: Final = re.compile(r"manifests/(?P<run_id>[^/]+)/(?:.*/)?(?:\d{8,}-)?\d{5,}\.manifest", re.ASCII | re.DOTALL)


def find_manifests(store: Store, patterns: Iterable[str]) -> list[str]:
    """Return the keys of the manifests that the patterns match, each once, by key within each pattern.

    Args:
      store: the destination.
      patterns: keys below the destination or URLs: of a manifest, of a folder whose manifests are taken, those of its
        folders included, or with wildcards, see `beam_s3box.system.globs`.

    Raises:
      ConfigurationError: a pattern matches no manifest, or is of another destination.
      StoreError: the destination can't be listed.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        keys = _keys(store, _relative(store, pattern))
        if not keys:
            raise ConfigurationError(
                f"manifest={pattern!r} matches no manifest below {store.root}: correct it, or quote a pattern in the "
                "shell"
            )
        found |= dict.fromkeys(keys)
    return list(found)


def run_of_manifests(store: Store, keys: Iterable[str]) -> Run | None:
    """Return the run that wrote manifests, None if they have no run's record.

    Raises:
      ConfigurationError: they are of several runs.
      StoreError: the record can't be read.
    """
    ids = {match["run_id"] if (match := _KEY.fullmatch(key)) else "" for key in keys}
    if len(ids) > 1:
        raise ConfigurationError(f"manifest= names manifests of {len(ids)} runs: give those of one run at a time")
    (run_id,) = ids
    if not run_id:
        return None
    try:
        store.stat(f"runs/{check_run_id(run_id)}.json")
    except (ObjectNotFoundError, ConfigurationError):
        return None
    return find_run(store, run_id)


def manifest_urls(urls: Iterable[str], open_root: Callable[[str], Store]) -> list[str]:
    """Return URLs of manifests: those that are given, and those below folders (which end with `/`) and in patterns.

    Args:
      urls: of manifests, folders, or with wildcards, see `beam_s3box.system.globs`.
      open_root: returns the store of a root, `s3://bucket` or `file:///`.

    Raises:
      ConfigurationError: a folder or pattern has no manifest.
      StoreError: it can't be listed.
    """
    found: dict[str, None] = {}
    for url in urls:
        match = _ROOT.match(url)
        glob = Glob.of(url)
        if match is None or not (glob.is_open or url.endswith("/")):
            found[url] = None
            continue
        store = open_root(match["root"])
        root = f"{store.root}/"
        keys = _keys(store, url.removeprefix(match["root"]).lstrip("/"))
        if not keys:
            raise ConfigurationError(f"manifest={url!r} matches no manifest: correct it, or quote it in the shell")
        found |= dict.fromkeys(f"{root}{key}" for key in keys)
    return list(found)


def _relative(store: Store, pattern: str) -> str:
    """Return the pattern below the destination."""
    if "://" not in pattern:
        root = store.root.removeprefix("file://")
        return pattern.removeprefix(f"{root}/") if store.root.startswith("file://") else pattern
    if not pattern.startswith(f"{store.root}/"):
        raise ConfigurationError(
            f"manifest={pattern!r} is not below {store.root}: give the destination that it was written to"
        )
    return pattern.removeprefix(f"{store.root}/")


def _keys(store: Store, pattern: str) -> list[str]:
    """Return the keys of a manifest, a folder or a pattern; what exists under a name goes before what matches it."""
    glob = Glob.of(pattern)
    return list(_named(store, pattern, glob)) or (list(_matching(store, glob)) if glob.is_open else [])


def _named(store: Store, name: str, glob: Glob) -> Iterator[str]:
    """Yield the manifest of this name, or those below the folder of this name."""
    if name.endswith(MANIFEST_EXTENSION):
        if not glob.is_open or any(info.key == name for info in store.list(name)):
            yield name
        return
    folder = f"{name.rstrip('/')}/" if name.strip("/") else ""
    yield from (info.key for info in store.list(folder) if info.key.endswith(MANIFEST_EXTENSION))


def _matching(store: Store, glob: Glob) -> Iterator[str]:
    matches = glob.matcher().fullmatch
    for info in store.list(glob.prefix):
        if info.key.endswith(MANIFEST_EXTENSION) and matches(info.key):
            yield info.key
