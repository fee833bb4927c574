"""The objects that COPY reads from S3: the manifest, its files, and their decompressed content."""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import botocore.exceptions
import zstandard

from redshift_stand_in.copy_options import CopyCommand
from redshift_stand_in.errors import RedshiftError, s3_error
from redshift_stand_in.manifest import read_manifest

_URL = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)


class File(NamedTuple):
    """A file of the load.

    Attributes:
      url: of the object.
      data: its bytes, decompressed.
      stored: size on S3 in bytes.
    """

    url: str
    data: bytes
    stored: int


class Sources:
    """Reads from S3 for one COPY.

    Args:
      client: boto3 client with the keys of the load.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def files(self, command: CopyCommand) -> Iterator[File]:
        """Yield the files of a load in order: all are looked up before the first is read."""
        urls = self._listed(command) if command.manifest else self._below(command.source)
        for url in urls:
            stored = self.read(url)
            yield File(url, _decompressed(stored, command, url), len(stored))

    def read(self, url: str) -> bytes:
        """Return an object, or raise an error of S3 if it does not exist or can't be read."""
        bucket, key = _parts(url)
        try:
            return bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as exc:
            raise _service_error(exc) from exc

    def _listed(self, command: CopyCommand) -> list[str]:
        """Return the URLs of a manifest whose objects exist, in order, as often as they are listed."""
        try:
            body = self.read(command.source)
        except RedshiftError as exc:
            raise s3_error(f"Problem reading manifest file - {exc.message}") from exc
        urls: list[str] = []
        for entry in read_manifest(body):
            if self._exists(entry.url):
                urls.append(entry.url)
            elif entry.mandatory:
                raise s3_error("Mandatory url is not present in manifest file.")
        if not urls:
            raise s3_error(f"None of the files in the manifest {command.source} exists")
        return urls

    def _below(self, source: str) -> list[str]:
        """Return the URLs of the objects whose key begins with the source's."""
        bucket, prefix = _parts(source)
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as exc:
            raise _service_error(exc) from exc
        urls = [f"s3://{bucket}/{key}" for key in keys if key.startswith(prefix)]
        if not urls:
            raise s3_error(f"The specified S3 prefix '{prefix}' does not exist")
        return urls

    def _exists(self, url: str) -> bool:
        bucket, key = _parts(url)
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except botocore.exceptions.ClientError as exc:
            if exc.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise _service_error(exc) from exc
        except botocore.exceptions.BotoCoreError as exc:
            raise _service_error(exc) from exc
        return True


def _parts(url: str) -> tuple[str, str]:
    found = _URL.fullmatch(url)
    if found is None:
        raise s3_error(f"Invalid S3 URL: {url}")
    return found.group(1), found.group(2)


def _service_error(exc: Exception) -> RedshiftError:
    if not isinstance(exc, botocore.exceptions.ClientError):
        return s3_error(f"S3ServiceException:{exc}")
    code = exc.response["Error"]["Code"]
    status = exc.response["ResponseMetadata"]["HTTPStatusCode"]
    words = "The specified key does not exist." if code == "NoSuchKey" else exc.response["Error"].get("Message", "")
    return s3_error(f"S3ServiceException:{words},Status {status},Error {code}")


def _decompressed(data: bytes, command: CopyCommand, url: str) -> bytes:
    if command.compression is None:
        return data
    try:
        return _READERS[command.compression](data)
    except (zlib.error, OSError, ValueError, zstandard.ZstdError) as exc:
        raise s3_error(f"{url} is not a {command.compression} file: {exc}") from exc


def _gunzip(data: bytes) -> bytes:
    """Return the content of the first member: further ones are lost, as no page says that COPY reads them."""
    reader = zlib.decompressobj(31)
    found = reader.decompress(data)
    if not reader.eof:
        raise ValueError("unexpected end of file")
    return found


def _bunzip(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data)


def _unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


_READERS: dict[str, Callable[[bytes], bytes]] = {"GZIP": _gunzip, "BZIP2": _bunzip, "ZSTD": _unzstd}
