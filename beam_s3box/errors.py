"""Every error this package raises on purpose, in one tree.

    S3BoxError
    ├── ConfigurationError      an argument or option that can't work (also a ValueError)
    │   └── RunExistsError      the run id names a run that already wrote manifests
    ├── RecordError             one record that can't be packed (also a ValueError)
    └── StoreError              the object store said no, or nothing
        ├── ObjectExistsError   a create-only write met an object that is already there
        ├── ObjectNotFoundError no such object, or no such bucket
        ├── AccessError         credentials or permissions
        └── TransientStoreError worth another attempt (throttled, 5xx, connection)

The message comes first and says everything; the rest is optional. Beam rebuilds an error from its
message alone, and workers pickle them, so every class here survives both.
"""

from __future__ import annotations


class S3BoxError(Exception):
    """Base of every error raised on purpose by this package."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class ConfigurationError(S3BoxError, ValueError):
    """An argument or option that can't work: names the parameter, the value, the rule and the way out."""


class RunExistsError(ConfigurationError):
    """The run id names a run that already wrote manifests."""


class RecordError(S3BoxError, ValueError):
    """A record that can't be packed.

    Attributes:
      reason: one of the codes in `beam_s3box.records.REASONS`.
    """

    def __init__(self, message: str = "", reason: str = "not-json") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.reason)


class StoreError(S3BoxError):
    """The object store refused or failed: names bucket, key, error code and attempts."""


class ObjectExistsError(StoreError):
    """A create-only write met an object that is already there."""


class ObjectNotFoundError(StoreError):
    """No such object, or no such bucket."""


class AccessError(StoreError):
    """Credentials are missing, wrong or expired, or may not do this."""


class TransientStoreError(StoreError):
    """A failure worth another attempt: throttling, a server error, a broken connection."""
