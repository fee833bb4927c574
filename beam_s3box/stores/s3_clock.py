"""The time by a server's clock: to date objects by, and to sign by where this machine's clock is wrong."""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SIGNER = "s3v4-beam_s3box"
"""Name under which botocore finds our signer."""

_STAMP = "%Y%m%dT%H%M%SZ"
_TIME = "beam_s3box_time"


class ServerClock:
    """The time by a server's clock, as of its latest answer and counted on from there.

    Args:
      elapsed: returns seconds that only ever go forward.
    """

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._offset: float | None = None
        self._signs = False

    def now(self) -> float | None:
        """Return seconds since the epoch, or None before the first answer that told the time."""
        return None if self._offset is None else self._elapsed() + self._offset

    def note(self, response: Any) -> None:
        """Take the time from an answer's `Date`, if it has one that can be read."""
        told = ((response or {}).get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
        if told is not None:
            with contextlib.suppress(TypeError, ValueError):
                self._offset = email.utils.parsedate_to_datetime(told).timestamp() - self._elapsed()

    def sign_by_server(self) -> None:
        """Date signatures by the server's clock from now on, not by this machine's."""
        self._signs = True

    def attach(self, client: S3Client) -> None:
        """Let a client date its signatures by this clock, once `sign_by_server` was called."""
        import botocore.auth

        botocore.auth.AUTH_TYPE_MAPS.setdefault(_SIGNER, _signer())
        events: Any = client.meta.events
        events.register("choose-signer.s3", self._choose)
        events.register("before-sign.s3", self._tell)

    def _choose(self, signature_version: Any, **_: Any) -> str | None:
        # botocore makes the second of the first, for S3; all else is signed in other ways
        is_ours = signature_version in ("v4", "s3v4")
        return _SIGNER if self._signs and self._offset is not None and is_ours else None

    def _tell(self, request: Any, **_: Any) -> None:
        request.context[_TIME] = self.now()


def _signer() -> type:
    from botocore import auth

    base: Any = auth.S3SigV4Auth

    class Signer(base):  # type: ignore[misc]
        """Dates a signature by the time that it finds in the request's context."""

        def _modify_request_before_signing(self, request: Any) -> None:
            request.context["timestamp"] = time.strftime(_STAMP, time.gmtime(request.context[_TIME]))
            super()._modify_request_before_signing(request)

    return Signer
