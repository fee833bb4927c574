"""Where `count_objects` finds a run: S3 by boto3, or a folder; nothing of beam_s3box takes part."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import boto3


class Place(Protocol):
    """Where the run lies."""

    root: str

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each object, by its key below the root."""
        ...

    def read(self, key: str) -> bytes:
        """Return an object."""
        ...


class Folder:
    """A folder of this machine."""

    def __init__(self, path: str) -> None:
        self._path = Path(path.removeprefix("file://")).absolute()
        self.root = f"file://{self._path}"

    def sizes(self) -> dict[str, int]:
        files = (path for path in self._path.rglob("*") if path.is_file())
        return {str(path.relative_to(self._path)): path.stat().st_size for path in files}

    def read(self, key: str) -> bytes:
        return (self._path / key).read_bytes()


class Bucket:
    """A prefix of a bucket."""

    def __init__(self, url: str, client: Any) -> None:
        self.root = url.rstrip("/")
        self._bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client

    def sizes(self) -> dict[str, int]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        found = (item for page in pages for item in page.get("Contents", ()))
        return {item["Key"].removeprefix(self._prefix): item["Size"] for item in found}

    def read(self, key: str) -> bytes:
        with self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"] as body:
            content: bytes = body.read()
        return content


def open_place(destination: str, endpoint_url: str | None = None, region: str | None = None) -> Place:
    """Return the place that a run was given as its destination."""
    if not destination.startswith("s3://"):
        return Folder(destination)
    return Bucket(destination, boto3.client("s3", endpoint_url=endpoint_url, region_name=region))
