"""Object stores: S3, a local folder, memory. boto3 is imported when a client is created."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from typing import TypeVar

from beam_s3box.errors import ConfigurationError
from beam_s3box.stores.base import ObjectInfo, Store
from beam_s3box.stores.local import LocalStore
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_settings import Credentials, S3Settings, s3_settings_of

__all__ = [
    "Credentials",
    "LocalStore",
    "MemoryStore",
    "ObjectInfo",
    "S3Settings",
    "S3Store",
    "Store",
    "open_store",
    "open_written",
    "warn_of_missing_scheme",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET_AND_PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]/[^.\\]*")
"""A relative path without a dot, whose first part could be a bucket."""

_Destination = TypeVar("_Destination")
_LOGGER = logging.getLogger(__name__)
_HALF_SCHEME = re.compile(r"(s3|file|memory):", re.IGNORECASE)
_STORE_PROPERTIES = ("conditional_create", "conditional_replace", "conditional_delete")
_STORE_METHODS = ("url", "put", "get", "read", "stat", "list", "delete", "now", "check_writable")


def open_store(
    destination: str | os.PathLike[str] | Store,
    settings: S3Settings | None = None,
    credentials: Callable[[], Credentials | None] | None = None,
) -> Store:
    """Return the store of a destination, without connecting, reading or creating anything.

    Args:
      destination: `s3://bucket/prefix`, `file:///folder` (taken as it is, not percent-decoded), a folder's path,
        `memory://name`, or a store, which is returned as it is.
      settings: the settings of S3; other stores ignore them.
      credentials: see `S3Store`.

    Raises:
      ConfigurationError: the destination is not valid, or the settings have another type.
    """
    settings = s3_settings_of(settings)
    if isinstance(destination, os.PathLike):
        return LocalStore(destination)
    if not isinstance(destination, str):
        return _check_store(destination)
    scheme = _SCHEME.match(destination)
    if scheme is None:
        return LocalStore(_check_path(destination))
    match scheme[1].lower():
        case "s3":
            return S3Store(f"s3://{destination[scheme.end() :]}", settings, credentials)
        case "file":
            return LocalStore(_check_absolute(destination, destination[scheme.end() :]))
        case "memory":
            return MemoryStore(destination[scheme.end() :])
    raise ConfigurationError(
        f"destination={destination!r} has an unknown scheme: write s3://bucket/prefix, file:///folder, "
        "memory://name or a folder's path, or give a store of your own"
    )


def _check_store(store: Store) -> Store:
    missing = [name for name in _STORE_METHODS if not callable(getattr(store, name, None))]
    undeclared = [name for name in _STORE_PROPERTIES if not isinstance(getattr(store, name, None), bool)]
    if undeclared and not missing:
        raise ConfigurationError(
            f"destination={store!r} must have the property {undeclared[0]}, which is True or False"
        )
    if missing:
        raise ConfigurationError(
            f"destination={store!r} must be text, a path or a store; it has no method {missing[0]}()"
        )
    return store


def warn_of_missing_scheme(destination: _Destination) -> _Destination:
    """Return a destination; log a warning if it looks like a bucket and a prefix, and would become a new folder."""
    is_text = isinstance(destination, str) and _BUCKET_AND_PREFIX.fullmatch(destination)
    if is_text and not os.path.isdir(str(destination).partition("/")[0]):
        _LOGGER.warning(
            "destination=%r is taken for a folder, %s, which does not exist yet: for the bucket write %r, for the "
            "folder %r",
            destination,
            os.path.abspath(str(destination)),
            f"s3://{destination}",
            f"./{destination}",
        )
    return destination


def open_written(
    destination: str,
    settings: S3Settings | None = None,
    credentials: Callable[[], Credentials | None] | None = None,
) -> Store:
    """Return the store of a destination that something was written to; see `open_store`.

    Raises:
      ConfigurationError: it is a local folder that does not exist, or not valid.
    """
    store = open_store(destination, settings, credentials)
    if isinstance(store, LocalStore) and not store.folder.is_dir():
        bucket = f"s3://{destination.lstrip('./')}"
        advice = "" if _SCHEME.match(destination) else f"; for a bucket write {bucket!r}"
        raise ConfigurationError(f"{destination!r} is taken for a folder, {store.folder}, which does not exist{advice}")
    return store


def _check_path(path: str) -> str:
    if not path or _HALF_SCHEME.match(path):
        raise ConfigurationError(f"destination={path!r} must be s3://bucket/prefix, file:///folder or a folder's path")
    return path


def _check_absolute(url: str, path: str) -> str:
    if not path.startswith("/"):
        raise ConfigurationError(f"destination={url!r} must have three slashes and no host, as in file:///folder")
    return path
