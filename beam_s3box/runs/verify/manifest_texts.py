"""What manifests say, read from their texts as COPY reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.runs.verify.in_order import in_order
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.stores import Store
from beam_s3box.stores.stored import read_stored
from beam_s3box.system.threads import Threads


class Entry(NamedTuple):
    """One entry of a manifest.

    Attributes:
      manifest: the manifest's key below the store's root.
      object_bytes: the size that it states; None if it states none.
      records: the number of records that it states; None if it states none.
    """

    manifest: str
    object_bytes: int | None
    records: int | None


class ManifestText(NamedTuple):
    """What one manifest says.

    Attributes:
      key: its key below the store's root.
      sha256: the SHA-256 of its text, hexadecimal; "" if it does not exist.
      entries: by the key of the shard, without those that are wrong.
      faults: what is wrong with it, each as the rest of a sentence.
    """

    key: str
    sha256: str
    entries: Mapping[str, Entry]
    faults: tuple[str, ...]


def read_manifests(
    store: Store, keys: Iterable[str], threads: Threads, problems: Problems
) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return the entries of all manifests by the key of their shard, and the digest of each manifest by its key.

    Args:
      store: where they are.
      keys: of the manifests.
      threads: read them.
      problems: takes what is wrong; also a shard that two manifests list.

    Raises:
      StoreError: one can't be read.
    """
    entries: dict[str, Entry] = {}
    digests: dict[str, str] = {}
    for text in in_order(threads, lambda key: read_manifest(store, key), keys):
        digests[text.key] = text.sha256
        for fault in text.faults:
            problems.add(store.url(text.key), fault)
        for key, entry in text.entries.items():
            other = entries.setdefault(key, entry)
            if other is not entry:
                problems.add(store.url(text.key), f"lists {key}, which {other.manifest} lists as well")
    return entries, digests


def read_manifest(store: Store, key: str) -> ManifestText:
    """Return what a manifest says.

    Raises:
      StoreError: it can't be read.
    """
    try:
        body, sha256, _ = read_stored(store, key)
    except ObjectNotFoundError:
        return ManifestText(key, "", {}, ("does not exist",))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        return ManifestText(key, sha256, {}, (f"is not JSON: {exc}",))
    listed = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        return ManifestText(key, sha256, {}, ("has no list of entries, and COPY would fail",))
    entries: dict[str, Entry] = {}
    faults = [fault for value in listed if (fault := _add(entries, store, key, value))]
    return ManifestText(key, sha256, entries, tuple(faults))


def _add(entries: dict[str, Entry], store: Store, manifest: str, value: Any) -> str:
    """Add an entry; return what is wrong with it, or nothing."""
    url = value.get("url") if isinstance(value, dict) else None
    if not isinstance(url, str) or not url.startswith(f"{store.root}/"):
        return f"lists {str(url if isinstance(value, dict) else value)[:200]!r}, which is not below {store.root}"
    key = url.removeprefix(f"{store.root}/")
    if key in entries:
        return f"lists {key} more than once, and COPY would load it each time"
    meta = value.get("meta", {})
    if not isinstance(meta, dict):
        return f"lists {key} with meta={meta!r}, which must be an object"
    size, records = meta.get("content_length"), meta.get("record_count")
    entries[key] = Entry(manifest, size if _is_count(size) else None, records if _is_count(records) else None)
    if value.get("mandatory") is not True:
        return f"lists {key} without mandatory: true, and COPY would go on without it"
    wrong = [name for name, number in meta.items() if not _is_count(number)]
    return f"lists {key} with {wrong[0]}={meta[wrong[0]]!r}, which must be a whole number" if wrong else ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
