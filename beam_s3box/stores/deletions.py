"""Deletes many objects: on S3 a thousand by one request, where each key may fail for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from beam_s3box.errors import AccessError, StoreError
from beam_s3box.stores.base import Store, check_key
from beam_s3box.stores.s3 import S3Store

BATCH_KEYS: Final = 1_000
"""Keys of one request, as many as S3 takes."""

_ATTEMPTS: Final = 5
_AGAIN: Final = ("InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout")
"""Codes of keys that another request may delete."""

_GONE: Final = ("NoSuchKey", "NoSuchVersion")


class NotDeleted(NamedTuple):
    """A key that could not be deleted, and why."""

    key: str
    reason: str


def delete_keys(store: Store, keys: Sequence[str]) -> list[NotDeleted]:
    """Delete objects without a condition, and return those that could not be; one that does not exist is deleted.

    Raises:
      AccessError: none may be deleted.
      StoreError: the store refused or failed, after its retries.
    """
    if not isinstance(store, S3Store):
        return list(_one_by_one(store, keys))
    failed: list[NotDeleted] = []
    for begin in range(0, len(keys), BATCH_KEYS):
        failed += _delete_batch(store, [check_key(key) for key in keys[begin : begin + BATCH_KEYS]])
    return failed


def _delete_batch(store: S3Store, keys: list[str]) -> list[NotDeleted]:
    from beam_s3box.stores.s3_errors import error_code

    waiting, failed = keys, dict[str, NotDeleted]()
    for number in range(_ATTEMPTS):
        try:
            errors = _request(store, waiting)
        except AccessError:
            raise
        except StoreError as exc:
            if error_code(exc) not in _UNSUPPORTED:
                raise
            return list(_one_by_one(store, waiting))
        for key in waiting:
            failed.pop(key, None)
        failed.update({error["Key"]: NotDeleted(error["Key"], _reason(error)) for error in errors})
        waiting = [error["Key"] for error in errors if error.get("Code") in _AGAIN]
        if not waiting or number == _ATTEMPTS - 1:
            break
        retry = store.requests.retry
        retry.sleep(retry.pause_seconds(number + 1))
    return list(failed.values())


_UNSUPPORTED: Final = ("NotImplemented", "MethodNotAllowed", "InvalidRequest", "MissingContentMD5", "501", "405")
"""Codes of servers that delete one object a request, or want another checksum."""


def _request(store: S3Store, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Send one request, and return the errors of single keys, with keys below the store's root."""
    from beam_s3box.stores.s3_requests import answer

    objects = [{"Key": store.full_key(key)} for key in keys]
    response, _ = store.requests.send(
        "DeleteObjects", None, {"Delete": {"Objects": objects, "Quiet": True}}, finish=answer
    )
    by_full_key = {store.full_key(key): key for key in keys}
    errors = [
        {**error, "Key": by_full_key[error["Key"]]}
        for error in response.get("Errors", ())
        if error.get("Key") in by_full_key and error.get("Code") not in _GONE
    ]
    return errors


def _reason(error: dict[str, Any]) -> str:
    return ": ".join(str(error[name]) for name in ("Code", "Message") if error.get(name)) or "no reason was given"


def _one_by_one(store: Store, keys: Sequence[str]) -> Iterator[NotDeleted]:
    for key in keys:
        try:
            store.delete(key)
        except AccessError:
            raise
        except StoreError as exc:
            yield NotDeleted(key, str(exc))
