"""Lists the objects of one folder, and not those of the folders in it."""

from __future__ import annotations

from collections.abc import Iterator

from beam_s3box.stores.base import ObjectInfo, Store
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_listing import list_objects


def list_folder(store: Store, folder: str) -> Iterator[ObjectInfo]:
    """Yield the objects directly in a folder; on S3 the server leaves out all others, of which there may be millions.

    Args:
      store: any.
      folder: its name, with a slash at the end.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    if isinstance(store, S3Store):
        found = list_objects(store.requests, store.root, store.full_key(""), folder, Delimiter="/")
    else:
        found = store.list(folder)
    return (info for info in found if "/" not in info.key.removeprefix(folder))
