"""Every error that this package raises itself, in one tree.

    S3BoxError
    ├── ConfigurationError      an invalid argument or option (also a ValueError)
    │   ├── RunExistsError      another execution has the run id
    │   └── FolderInUseError    another streamer uses the folder
    ├── RecordError             a record that can't be packed (also a ValueError)
    │   └── NotAnObjectError    the record is not one JSON object
    ├── DeadLettersError        more records are dead letters than the run may have
    ├── IncompleteRunError      the shards of a run have other records than it accepted
    ├── BoxSealedError          the box takes no more records: it was sealed or closed
    ├── StreamerError           the buffer files can't be written or read
    │   ├── StreamNotOpenError  the stream was never opened, or is closed
    │   ├── StreamerClosedError the streamer is shut down, or a copy in a forked process
    │   ├── DiskQuotaError      `max_disk_bytes` is reached or the disk is full: uploads fail or are too slow
    │   ├── RecordsLostError    another program removed or truncated a buffer file before it was uploaded
    │   └── UploadsFailedError  some files are not uploaded; they are kept and tried again
    ├── LoadError               a load into Redshift failed, and none of its rows are in the table
    │   ├── CopyError           COPY rejected a file: names file, line, column and reason
    │   ├── RowCountError       COPY loaded another number of rows than the manifests list
    │   ├── KeyValuesError      keys of an upsert are null or not unique
    │   ├── ManifestReplacedError the manifest's URL was loaded before, with other shards
    │   └── TransientLoadError  a retry may help (lost connection, conflicting transactions)
    │       └── UnreachableError    no connection to Redshift could be made
    ├── NotifyError             `on_commit` or `--notify` failed, after what it is about was committed
    ├── SourceError             a queue or a stream refused a request
    │   └── TransientSourceError a retry may help (throttling, 5xx, connection)
    └── StoreError              the object store refused a request, or did not answer
        ├── ObjectExistsError   a create-only write, and the object exists
        ├── ObjectChangedError  a conditional write or delete, and the object has changed or is gone
        ├── ObjectNotFoundError no such object, or no such bucket
        ├── ObjectArchivedError the object is archived, and must be restored before it can be read
        ├── AccessError         credentials or permissions are missing
        ├── OutdatedWorkError   other work of the same run wrote the manifest after this work had begun
        └── TransientStoreError a retry may help (throttling, 5xx, connection)

The message is the first argument and complete; all other arguments are optional. Beam rebuilds an error
from its message alone, and workers pickle errors, so every class here supports both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class S3BoxError(Exception):
    """Base class of the errors of this package."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class ConfigurationError(S3BoxError, ValueError):
    """An invalid argument or option: names the parameter, the value, the rule and the fix."""


class RunExistsError(ConfigurationError):
    """Another execution has the run id: it has finished, is unbounded, or took the run over."""


class NotifyError(S3BoxError):
    """`on_commit` or `--notify` failed: names what is committed already, and counts."""


class FolderInUseError(ConfigurationError):
    """Another streamer uses the folder: names its process."""


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
    """The record is not one JSON object, nor a value that can be written as one.

    Attributes:
      reason: one of the codes in `beam_s3box.records.encoding.REASONS`.
    """

    def __init__(self, message: str = "", reason: str = "not-an-object") -> None:
        super().__init__(message, reason)


class DeadLettersError(S3BoxError):
    """More records are dead letters than the run may have: says how many, why, and what to do."""


class IncompleteRunError(S3BoxError):
    """The shards of a run do not have the records that were accepted, and the run does not count: says how many."""


class BoxSealedError(S3BoxError):
    """The box takes no more records: it was sealed or closed."""


class StreamerError(S3BoxError):
    """The buffer files can't be written or read."""


class StreamNotOpenError(StreamerError):
    """The stream was never opened, or is closed."""


class StreamerClosedError(StreamerError):
    """The streamer is shut down, or this is a copy of it in a forked process."""


class DiskQuotaError(StreamerError):
    """`max_disk_bytes` is reached, or the disk is full; the record was not accepted."""


class RecordsLostError(StreamerError):
    """Another program removed or truncated files in the streamer's folder; says how many records are lost."""


class UploadsFailedError(StreamerError):
    """Some files are not uploaded; they are kept in the folder.

    Attributes:
      files: the files that are not uploaded, each a `beam_s3box.streamer.PendingFile`.
    """

    def __init__(self, message: str = "", files: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Any, ...]]]:
        return type(self), (str(self), self.files)


class LoadError(S3BoxError):
    """A load into Redshift failed, and none of its rows are in the table: names table, manifest and fix."""


class CopyError(LoadError):
    """COPY rejected a file.

    Attributes:
      problems: the problems that Redshift reports, each a `beam_s3box.redshift.load.load_errors.LoadProblem`.
    """

    def __init__(self, message: str = "", problems: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Any, ...]]]:
        return type(self), (str(self), self.problems)


class RowCountError(LoadError):
    """COPY loaded another number of rows than the manifests list."""


class KeyValuesError(LoadError):
    """Keys of an upsert are null, or occur in the manifests more than once."""


class ManifestReplacedError(LoadError):
    """The manifest's URL was loaded before, and lists other shards now."""


class TransientLoadError(LoadError):
    """A retry may help: a lost connection, conflicting transactions, too many statements."""


class UnreachableError(TransientLoadError):
    """No connection to Redshift could be made, for now."""


class SourceError(S3BoxError):
    """A queue or a stream refused a request: names the operation, the reason and the fix."""


class TransientSourceError(SourceError):
    """A queue or a stream did not answer, or asked to wait: a retry may help."""


class StoreError(S3BoxError):
    """The object store refused a request or did not answer: names bucket, key, error code and attempts."""


class ObjectExistsError(StoreError):
    """A create-only write failed because the object exists."""


class ObjectChangedError(StoreError):
    """A write or delete with `if_match`, and the object has another ETag or is gone; nothing was changed."""


class ObjectNotFoundError(StoreError):
    """No such object, or no such bucket."""


class ObjectArchivedError(StoreError):
    """The object is archived, and must be restored before it can be read."""


class AccessError(StoreError):
    """Credentials are missing, invalid or expired, or lack a permission."""


class OutdatedWorkError(StoreError):
    """Other work of the same run wrote a manifest after this work had begun. Nothing was replaced; runners retry."""


class TransientStoreError(StoreError):
    """A retry may help: throttling, a server error, a broken connection."""
