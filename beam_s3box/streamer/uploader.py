"""Where finished files are uploaded to: a bucket, any other store, or a function of the user."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable
from typing import Protocol, TypeAlias

from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import ConfigurationError, StreamerError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_run_id
from beam_s3box.stores import Credentials, S3Settings, Store, open_store
from beam_s3box.streamer.events import BufferFile
from beam_s3box.streamer.files import read_file

BUCKET_VARIABLE = "S3_UPLOADER_BUCKET"
"""The environment variable with the bucket, if the program gives none."""

SEALED_BY = "streamer"
"""The reason to seal in the description of a shard; whether it was size, time, a flush or a crash is not recorded."""


class FileUploader(Protocol):
    """Uploads finished files."""

    def upload(self, file: BufferFile) -> object:
        """Upload the file atomically, or raise; the same file may come again after a crash."""
        ...


AnyUploader: TypeAlias = FileUploader | Callable[[BufferFile], object]


class StoreUploader:
    """Uploads to a store, create-only: uploading the same file again succeeds and creates no second object.

    Args:
      store: the destination.

    Raises:
      ConfigurationError: its prefix is too long for the URLs that Redshift can show.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        # raises here if the prefix is too long, and not at each upload
        self.layout(new_run_id())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    def upload(self, file: BufferFile) -> None:
        """Write the file as one object.

        Raises:
          ObjectExistsError: another object has its key.
          StoreError: the store rejected it or failed, after its retries.
          StreamerError: another program changed the file.
        """
        body = read_file(file.path)
        if len(body) != file.size:
            raise StreamerError(f"{file.path} has {len(body)} bytes, not {file.size}: another program changed it")
        put_once(self.store, self.key(file), body, hashlib.sha256(body).hexdigest(), file.content_type)

    def key(self, file: BufferFile) -> str:
        """Return the key of a file, which depends on nothing but its name and stream."""
        name, dot, extension = file.file_name.partition(".")
        run_id, origin, sequence = name.rsplit("-", 2)
        stream = Stream(file.domain, file.namespace)
        digest = hashlib.sha256(file.file_name.encode("utf-8")).hexdigest()
        return self.layout(run_id).shard(stream, "", origin, int(sequence), digest, dot + extension)

    def layout(self, run_id: str) -> Layout:
        """Return the layout of keys for a streamer with this run id."""
        return Layout.below(self.store.root, run_id)

    def describe(self, file: BufferFile) -> ShardFile:
        """Return the file as a manifest lists it."""
        key = self.key(file)
        return ShardFile(
            domain=file.domain,
            namespace=file.namespace,
            window="",
            url=self.store.url(key),
            key=key,
            records=file.records,
            raw_bytes=file.raw_bytes,
            object_bytes=file.size,
            sha256="",
            sealed_by=SEALED_BY,
        )


class S3Uploader(StoreUploader):
    """Uploads to a bucket.

    Args:
      bucket: the name of the bucket; None for the environment variable `S3_UPLOADER_BUCKET`.
      prefix: the prefix of every key.
      s3: settings of S3.
      credentials: a function that returns the keys; None leaves it to boto3.

    Raises:
      ConfigurationError: no bucket is given, or it is not valid.
    """

    def __init__(
        self,
        bucket: str | None = None,
        prefix: str = "",
        s3: S3Settings | None = None,
        credentials: Callable[[], Credentials | None] | None = None,
    ) -> None:
        bucket = os.environ.get(BUCKET_VARIABLE) if bucket is None else bucket
        if not bucket:
            raise ConfigurationError(f"bucket={bucket!r} is empty: give a bucket, or set {BUCKET_VARIABLE}")
        if "/" in bucket:
            raise ConfigurationError(
                f"bucket={bucket!r} must be the name of a bucket: leave s3:// out, and give what follows a '/' as "
                "prefix"
            )
        super().__init__(open_store(f"s3://{bucket}/{prefix}".rstrip("/"), s3, credentials))


def upload_function(uploader: AnyUploader) -> Callable[[BufferFile], object]:
    """Return the function that uploads.

    Raises:
      ConfigurationError: it is neither an object with `upload` nor a function, or it is a coroutine function.
    """
    function = getattr(uploader, "upload", uploader)
    if not callable(function):
        raise ConfigurationError(f"uploader={uploader!r} must have a method upload(file), or be a function of the file")
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"uploader={uploader!r} is asynchronous, and uploads run on threads: give a plain function, which "
            "may call asyncio.run"
        )
    return function


def as_store_uploader(uploader: object) -> StoreUploader | None:
    """Return the uploader if it is one of ours, which know their store."""
    return uploader if isinstance(uploader, StoreUploader) else None


class DescribesFiles(Protocol):
    """An uploader that knows where files are."""

    def describe(self, file: BufferFile) -> ShardFile:
        """Return the file as a manifest lists it."""
        ...


def urls_of(uploader: DescribesFiles | None) -> Callable[[BufferFile], str | None]:
    """Return the function that tells the URL of a file, or None if the uploader does not know it."""
    return lambda file: uploader.describe(file).url if uploader else None


def check_return_value(value: object) -> None:
    """Raise an error for an uploader that returned a failure instead of raising it.

    Raises:
      StreamerError: it returned False, or an awaitable.
    """
    if value is False:
        raise StreamerError("the uploader returned False")
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise StreamerError("the uploader returned an awaitable, which is never awaited: nothing is uploaded")
