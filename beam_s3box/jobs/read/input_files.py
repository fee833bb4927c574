"""Opens files of records, local or on S3 or wherever Beam finds them, in the version that was found.

Objects on S3 are not read through Beam's own S3 files: those make a client for each object, which takes longer than to
read a small one, and mix what an object holds with what replaces it meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box.errors import ConfigurationError
from beam_s3box.metrics import INPUT_BYTES
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_client import FindCredentials
from beam_s3box.stores.s3_reads import ObjectReader, ObjectReplacedError
from beam_s3box.stores.s3_settings import S3Settings
from beam_s3box.system.local_files import changed, unchanged, version_in
from beam_s3box.transforms.runtime import BeamCounts
from beam_s3box.transforms.s3_options import credentials_of

_S3_URL: Final = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)


class InputFile(Protocol):
    """An open file."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer only at the file's end."""
        ...

    def seek(self, position: int, /) -> Any:
        """Read on from there."""
        ...


class FileVersion(NamedTuple):
    """What a file is now.

    Attributes:
      name: distinguishes its content from another's; empty where nothing does.
      size: bytes.
    """

    name: str
    size: int


class S3Access(NamedTuple):
    """How objects are reached; it travels with the steps that read them, and holds no keys.

    Attributes:
      settings: of S3.
      credentials: finds the keys where a client is made; None leaves it to boto3.
    """

    settings: S3Settings
    credentials: FindCredentials | None


NO_OPTIONS: Final = S3Access(S3Settings(), None)
"""Objects are reached as boto3 finds them."""


def s3_access_of(options: PipelineOptions) -> S3Access:
    """Return how a pipeline with these options reaches objects: as Beam does."""
    # here, where the pipeline is built: a worker that knew our options would parse them, as a runner hands them on
    from beam_s3box.jobs.options.s3 import reading_settings_of

    return S3Access(reading_settings_of(options), credentials_of(options.view_as(S3Options)))


def find_version(path: str, size: int, access: S3Access) -> FileVersion:
    """Return the current version of a file.

    Args:
      path: of the file.
      size: bytes when it was found, for file systems without versions.
      access: to objects.

    Raises:
      OSError, StoreError: it can't be read.
    """
    if _is_s3(path):
        found = _object_reader(path, "", access).version()
        return FileVersion(found.etag, found.size)
    if is_local(path):
        now = os.stat(path)
        return FileVersion(version_in(now), now.st_size)
    return FileVersion("", size)


@contextlib.contextmanager
def opened(path: str, access: S3Access, version: str = "") -> Iterator[InputFile]:
    """Open a file to read it.

    Args:
      path: of the file.
      access: to objects.
      version: its name as `find_version` gave it; empty for the current version.

    Raises:
      ConfigurationError: it is another version, or became one within the block.
    """
    if _is_s3(path):
        try:
            yield _Counted(_object_reader(path, version, access))
        except ObjectReplacedError as exc:
            raise changed(path) from exc
    elif is_local(path):
        with open(path, "rb") as file, unchanged(path, file.fileno(), version or None):
            yield _Counted(file)
    else:
        with FileSystems.open(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file:
            yield _Counted(file)


class _Counted:
    """Counts what is read of a file."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._counts = BeamCounts()

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer only at the file's end."""
        data = self._file.read(size)
        self._counts.count(INPUT_BYTES, len(data))
        return data

    def seek(self, position: int, /) -> Any:
        """Read on from there."""
        return self._file.seek(position)


def is_local(path: str) -> bool:
    """Return whether a path names a file of this machine."""
    return FileSystems.get_scheme(path) is None


def _is_s3(path: str) -> bool:
    return bool(FileSystems.get_scheme(path) == "s3")


def _object_reader(path: str, version: str, access: S3Access) -> ObjectReader:
    match = _S3_URL.fullmatch(path)
    if match is None:
        raise ConfigurationError(f"input={path!r} must be s3://bucket/key")
    return ObjectReader(S3Store(f"s3://{match[1]}", *access).requests, match[2], version)
