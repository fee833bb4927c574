"""What the text of a manifest of ours says, for runs whose shards are in no list."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.shard_lists import ListedShard
from beam_s3box.errors import S3BoxError
from beam_s3box.shards.model import ShardFile
from beam_s3box.stores import Store


def shards_of_manifest(store: Store, manifest: Manifest, body: bytes) -> Iterator[ListedShard]:
    """Yield the shards that a manifest lists: URL, size and records, and their digest and raw bytes unknown.

    Args:
      store: where it is.
      manifest: what is known of it.
      body: its text.

    Raises:
      S3BoxError: it is not the text of a manifest below this destination.
    """
    root = f"{store.root}/"
    try:
        for entry in orjson.loads(body)["entries"]:
            url, meta = entry["url"], entry["meta"]
            if not url.startswith(root):
                raise S3BoxError(
                    f"{store.url(manifest.key)} lists {url!r}, which is not below {store.root}: its files were moved; "
                    "name the destination as the run did"
                )
            yield _listed(manifest, url, url.removeprefix(root), meta["content_length"], meta["record_count"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise S3BoxError(f"{store.url(manifest.key)} is not a manifest ({type(exc).__name__}: {exc})") from exc


def _listed(manifest: Manifest, url: str, key: str, size: int, records: int) -> ListedShard:
    folders = key.split("/")[1:3]
    domain, namespace = folders if len(folders) == 2 else ("", "")
    domain, namespace = manifest.domain or domain, manifest.namespace or namespace
    file = ShardFile(domain, namespace, manifest.window, url, key, records, 0, size, "", "")
    return ListedShard(file, manifest.key, manifest.sha256)
