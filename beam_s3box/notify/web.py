"""Posts a commit to a web address."""

from __future__ import annotations

import http.client
import ssl
import urllib.parse
from typing import Final

from beam_s3box.engine.commit import Commit
from beam_s3box.errors import NotifyError
from beam_s3box.stores.retries import Retry

_TIMEOUT_SECONDS: Final = 10.0
_RETRY: Final = Retry(max_attempts=4, cap_seconds=5.0)
_TRY_AGAIN: Final = (408, 425, 429)


class _TryAgainError(NotifyError):
    """Another attempt may help."""


def post(url: str, commit: Commit, shown: str) -> None:
    """Post the commit as JSON; any status of 2xx is a success, and redirects are none.

    Args:
      url: the web address.
      commit: what is sent.
      shown: the address as messages show it.

    Raises:
      NotifyError: it was not taken.
    """
    body = commit.to_json()
    _RETRY.run(lambda number: _post(url, body, shown, number), _is_transient, NotifyError)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, _TryAgainError)


def _post(url: str, body: bytes, shown: str, number: int) -> None:
    parts = urllib.parse.urlsplit(url)
    connection = _connection(parts)
    try:
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        headers = {"Content-Type": "application/json", "User-Agent": "beam_s3box"}
        connection.request("POST", path, body, headers)
        with connection.getresponse() as response:
            status, reason = response.status, response.reason
    except (OSError, http.client.HTTPException) as exc:
        # its text may have the address
        raise _TryAgainError(f"{shown} did not answer, after {number} attempts: {_name_of(exc)}") from None
    finally:
        connection.close()
    if 200 <= status < 300:
        return
    kind = _TryAgainError if status >= 500 or status in _TRY_AGAIN else NotifyError
    raise kind(f"{shown} answered {status} {reason}, after {number} attempts")


def _connection(parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=_TIMEOUT_SECONDS)
    return http.client.HTTPSConnection(host, parts.port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context())


def _name_of(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
