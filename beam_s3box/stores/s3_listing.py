"""Listings of objects, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from beam_s3box.stores.base import ObjectInfo
from beam_s3box.stores.s3_errors import InvalidResponseError
from beam_s3box.stores.s3_objects import listed
from beam_s3box.stores.s3_requests import Requests, answer


def list_objects(requests: Requests, url: str, root: str, prefix: str, **more: Any) -> Iterator[ObjectInfo]:
    """Yield the objects whose key starts with the prefix, in the server's order: on AWS by key.

    Args:
      requests: sends them.
      url: of the store, for an error.
      root: the beginning of all keys.
      prefix: of the keys below the root.
      more: further parameters of each request, such as `Delimiter`.
    """
    position: dict[str, Any] = {"Prefix": root + prefix, **more}
    # not boto3's paginator, which can't continue after a page that failed
    while True:
        page, _ = requests.send("ListObjectsV2", None, position, finish=answer)
        for entry in page.get("Contents", ()):
            # some servers normalize the prefix, and list other objects
            if entry["Key"].startswith(root + prefix):
                yield listed(root, entry)
        if not page.get("IsTruncated"):
            return
        if page["NextContinuationToken"] == position.get("ContinuationToken"):
            raise InvalidResponseError(f"ListObjectsV2 {url} failed: the next page is the same page again")
        position = {**position, "ContinuationToken": page["NextContinuationToken"]}
