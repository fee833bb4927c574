"""What a manifest lists, read again when it is loaded: its digest names its content, its counts check the COPY."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from beam_s3box.errors import ConfigurationError, LoadError
from beam_s3box.manifests import Manifest
from beam_s3box.stores import Credentials, S3Settings, open_store

FetchBytes: TypeAlias = Callable[[str], bytes]
"""Returns the bytes behind a URL."""

_URL = re.compile(r"(?P<root>s3://[^/]+|[a-z]+://[^/]*)/(?P<key>.+)", re.DOTALL)
_READERS: Final = 8
"""Manifests that are read at the same time."""


class ListedManifest(NamedTuple):
    """A manifest as it stands in the store now.

    Attributes:
      url: where it is.
      sha256: of its bytes, hexadecimal: the same URL with another digest lists other shards.
      records: how many rows COPY makes of it.
      files: URLs of its shards.
    """

    url: str
    sha256: str
    records: int
    files: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class StoreReader:
    """Reads a manifest from the store that its URL names.

    Attributes:
      s3: how to reach S3.
      credentials: a function that finds the keys; None leaves it to boto3.
    """

    s3: S3Settings | None = None
    credentials: Callable[[], Credentials | None] | None = None

    def __call__(self, url: str) -> bytes:
        """Return the object's bytes; raises the store's errors."""
        match = _URL.fullmatch(url)
        if match is None:
            raise ConfigurationError(
                f"manifest={url!r} must be the URL of a manifest, as s3://bucket/prefix/x.manifest"
            )
        root = f"{match['root']}/" if match["root"] == "file://" else match["root"]
        return open_store(root, self.s3, self.credentials).get(match["key"])


def read_manifests(manifests: Iterable[Manifest | str], fetch: FetchBytes) -> list[ListedManifest]:
    """Return the manifests by URL, each once, without those that list nothing.

    Raises:
      ConfigurationError: neither `Manifest` rows nor URLs.
      LoadError: the text is no manifest, or COPY would not load it once.
      StoreError: it can't be read.
    """
    counts: dict[str, int | None] = {}
    for manifest in manifests:
        url, records = _address(manifest)
        counts[url] = records if counts.get(url) is None else counts[url]
    if not counts:
        return []
    with ThreadPoolExecutor(min(_READERS, len(counts)), "beam-s3box-manifests") as threads:
        bodies = threads.map(fetch, sorted(counts))
        listed = [parse_manifest(url, body, counts[url]) for url, body in zip(sorted(counts), bodies, strict=True)]
    return [manifest for manifest in listed if manifest.files]


def parse_manifest(url: str, body: bytes, records: int | None = None) -> ListedManifest:
    """Return what a manifest's text lists.

    Args:
      url: where it was read.
      body: its bytes.
      records: how many rows it lists, for a manifest of others whose entries don't say it.

    Raises:
      LoadError: it is no manifest, it lists a file twice, or nothing says how many rows it lists.
    """
    entries = _entries(url, body)
    files = tuple(str(entry["url"]) for entry in entries)
    twice = [file for file, times in collections.Counter(files).items() if times > 1]
    if twice:
        raise LoadError(f"{url} lists {twice[0]} more than once, and COPY would load it each time: write it anew")
    return ListedManifest(url, hashlib.sha256(body).hexdigest(), _records(url, entries, records), files)


def _address(manifest: Manifest | str) -> tuple[str, int | None]:
    if isinstance(manifest, str):
        return manifest, None
    url, records = getattr(manifest, "url", None), getattr(manifest, "records", None)
    if not isinstance(url, str) or not isinstance(records, int):
        raise ConfigurationError(f"manifest={manifest!r} must be a Manifest or the URL of one")
    return url, records


def _entries(url: str, body: bytes) -> Sequence[Mapping[str, Any]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise LoadError(f"{url} is no manifest, its text is not JSON ({exc}): give the URL of a manifest") from exc
    entries = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "url" in entry for entry in entries):
        raise LoadError(f'{url} is no manifest, it has no "entries" with a "url" each: give the URL of a manifest')
    return entries


def _records(url: str, entries: Sequence[Mapping[str, Any]], told: int | None) -> int:
    # the text comes first: a manifest that was written again says what COPY reads now, the row what once was there
    counts = [(entry.get("meta") or {}).get("record_count") for entry in entries]
    known = [count for count in counts if isinstance(count, int) and not isinstance(count, bool)]
    if len(known) == len(counts):
        return sum(known)
    if told is None:
        raise LoadError(
            f'{url} does not say how many records its files hold ("meta": {{"record_count": …}}), so that a load '
            "can't be checked: give it as a Manifest with its records"
        )
    return told
