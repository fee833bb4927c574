"""Where a run is read from: S3 through boto3, or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Place(Protocol):
    """The destination of a run, to be read."""

    root: str

    def keys(self) -> set[str]:
        """Return the keys of all objects, relative to the root."""
        ...

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        ...


class Folder:
    """A folder on this machine."""

    def __init__(self, path: str) -> None:
        self._path = Path(path.removeprefix("file://")).absolute()
        self.root = f"file://{self._path}"

    def keys(self) -> set[str]:
        files = (path for path in self._path.rglob("*") if path.is_file())
        # what a killed process was still writing has no key yet, as an upload to S3 in parts has none
        return {str(path.relative_to(self._path)) for path in files if not path.match(".*.part")}

    def read(self, key: str) -> bytes:
        return (self._path / key).read_bytes()


class Bucket:
    """A prefix in a bucket."""

    def __init__(self, url: str, client: Any) -> None:
        self.root = url.rstrip("/")
        self._bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client

    def keys(self) -> set[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        return {item["Key"].removeprefix(self._prefix) for page in pages for item in page.get("Contents", ())}

    def read(self, key: str) -> bytes:
        with self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"] as body:
            content: bytes = body.read()
        return content
