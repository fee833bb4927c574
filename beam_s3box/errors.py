"""Every error this package raises on purpose, in one tree.

    S3BoxError
    ├── ConfigurationError      an argument or option that can't work (also a ValueError)
    │   ├── RunExistsError      the run id is another execution's
    │   └── FolderInUseError    another streamer has the folder
    ├── RecordError             one record that can't be packed (also a ValueError)
    │   └── NotAnObjectError    what was packed is not one JSON object
    ├── DeadLettersError        more records are dead letters than the run may have
    ├── BoxSealedError          the box takes no more records, or was given up
    ├── StreamerError           the buffer files can't be written or read
    │   ├── StreamNotOpenError  never opened, or closed
    │   ├── StreamerClosedError shut down, or a copy in a forked process
    │   ├── DiskQuotaError      `max_disk_bytes` is reached, or the disk full: uploads fail, or are slower than appends
    │   ├── RecordsLostError    another program removed a buffer or cut it, before it was uploaded
    │   └── UploadsFailedError  some files are not uploaded; they stay and are tried again
    ├── LoadError               a load into Redshift failed, and nothing of it is in the table
    │   ├── CopyError           COPY refused a file: names file, line, column and reason
    │   ├── RowCountError       COPY loaded another number of rows than the manifests list
    │   ├── KeyValuesError      keys of an upsert that are null, or stand there more than once
    │   ├── ManifestReplacedError the manifest's URL was loaded with other shards
    │   └── TransientLoadError  worth another attempt (connection lost, transactions in conflict)
    └── StoreError              the object store said no, or nothing
        ├── ObjectExistsError   a create-only write met an object that is already there
        ├── ObjectChangedError  a fenced write or delete met another object than it was for, or none
        ├── ObjectNotFoundError no such object, or no such bucket
        ├── AccessError         credentials or permissions
        ├── OutdatedWorkError   other work of the same run wrote the manifest since this work began
        └── TransientStoreError worth another attempt (throttled, 5xx, connection)

The message comes first and says everything; the rest is optional. Beam rebuilds an error from its
message alone, and workers pickle them, so every class here survives both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class S3BoxError(Exception):
    """Base of every error raised on purpose by this package."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class ConfigurationError(S3BoxError, ValueError):
    """An argument or option that can't work: names the parameter, the value, the rule and the way out."""


class RunExistsError(ConfigurationError):
    """The run id is held by another execution, which finished, or has no end, or took the run over."""


class FolderInUseError(ConfigurationError):
    """Another streamer has the folder: names its process."""


class RecordError(S3BoxError, ValueError):
    """A record that can't be packed.

    Attributes:
      reason: one of the codes in `beam_s3box.records.encoding.REASONS`.
    """

    def __init__(self, message: str = "", reason: str = "not-json") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.reason)


class NotAnObjectError(RecordError):
    """What was to be packed is not one JSON object, nor a value that can be written as one.

    Attributes:
      reason: one of the codes in `beam_s3box.records.encoding.REASONS`.
    """

    def __init__(self, message: str = "", reason: str = "not-an-object") -> None:
        super().__init__(message, reason)


class DeadLettersError(S3BoxError):
    """More records are dead letters than the run may have: says how many, why, and what to do."""


class BoxSealedError(S3BoxError):
    """The box takes no more records: it was sealed, or given up."""


class StreamerError(S3BoxError):
    """The buffer files can't be written or read."""


class StreamNotOpenError(StreamerError):
    """The stream was never opened, or is closed."""


class StreamerClosedError(StreamerError):
    """The streamer is shut down, or this is a copy of it in a forked process."""


class DiskQuotaError(StreamerError):
    """`max_disk_bytes` is reached, or the disk is full; the record was not taken."""


class RecordsLostError(StreamerError):
    """Another program removed files of the streamer's folder, or cut them; says how many records are lost."""


class UploadsFailedError(StreamerError):
    """Some files are not uploaded; they stay in the folder.

    Attributes:
      files: those that are not uploaded, each a `beam_s3box.streamer.PendingFile`.
    """

    def __init__(self, message: str = "", files: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Any, ...]]]:
        return type(self), (str(self), self.files)


class LoadError(S3BoxError):
    """A load into Redshift failed, and nothing of it is in the table: names table, manifest and what to do."""


class CopyError(LoadError):
    """COPY refused a file.

    Attributes:
      problems: what Redshift says of the files, each a `beam_s3box.redshift.load.load_errors.LoadProblem`.
    """

    def __init__(self, message: str = "", problems: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Any, ...]]]:
        return type(self), (str(self), self.problems)


class RowCountError(LoadError):
    """COPY loaded another number of rows than the manifests list."""


class KeyValuesError(LoadError):
    """Keys of an upsert are null, or stand in the manifests more than once."""


class ManifestReplacedError(LoadError):
    """The manifest's URL was loaded before, and lists other shards now."""


class TransientLoadError(LoadError):
    """A failure worth another attempt: a lost connection, transactions in conflict, too many statements."""


class StoreError(S3BoxError):
    """The object store refused or failed: names bucket, key, error code and attempts."""


class ObjectExistsError(StoreError):
    """A create-only write met an object that is already there."""


class ObjectChangedError(StoreError):
    """A write or delete with `if_match` met another object than the one with that ETag, or none; nothing was done."""


class ObjectNotFoundError(StoreError):
    """No such object, or no such bucket."""


class AccessError(StoreError):
    """Credentials are missing, wrong or expired, or may not do this."""


class OutdatedWorkError(StoreError):
    """Other work of the same run wrote a manifest since this work began; nothing was replaced. Runners do it again."""


class TransientStoreError(StoreError):
    """A failure worth another attempt: throttling, a server error, a broken connection."""
