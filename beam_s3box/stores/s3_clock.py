"""The clock of a server: for the times of objects, and for signatures if the clock of this machine is wrong."""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from beam_s3box.system.outside import steady_seconds

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SIGNER = "s3v4-beam_s3box"
"""The name of our signer in botocore."""

_STAMP = "%Y%m%dT%H%M%SZ"
_TIME = "beam_s3box_time"


class ServerClock:
    """The time by a server's clock: the time of its latest response, plus the time since.

    Args:
      elapsed: returns monotonic seconds.
    """

    def __init__(self, elapsed: Callable[[], float] = steady_seconds) -> None:
        self._elapsed = elapsed
        self._offset: float | None = None
        self._signs = False

    def now(self) -> float | None:
        """Return seconds since the epoch, or None before the first response with a date."""
        return None if self._offset is None else self._elapsed() + self._offset

    def note(self, response: Any) -> None:
        """Set the clock by the `Date` of a response, if it is valid."""
        date = ((response or {}).get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
        if date is not None:
            with contextlib.suppress(TypeError, ValueError):
                self._offset = email.utils.parsedate_to_datetime(date).timestamp() - self._elapsed()

    def sign_by_server(self) -> None:
        """Use the server's clock for signatures from now on, instead of this machine's."""
        self._signs = True

    def attach(self, client: S3Client) -> None:
        """Let a client use this clock for its signatures, once `sign_by_server` was called."""
        import botocore.auth

        botocore.auth.AUTH_TYPE_MAPS.setdefault(_SIGNER, _signer())
        events: Any = client.meta.events
        events.register("choose-signer.s3", self._choose)
        events.register("before-sign.s3", self._tell)

    def _choose(self, signature_version: Any, **_: Any) -> str | None:
        # for S3, botocore turns v4 into s3v4; everything else has other signatures
        is_ours = signature_version in ("v4", "s3v4")
        return _SIGNER if self._signs and self._offset is not None and is_ours else None

    def _tell(self, request: Any, **_: Any) -> None:
        request.context[_TIME] = self.now()


def _signer() -> type:
    from botocore import auth

    base: Any = auth.S3SigV4Auth

    class Signer(base):  # type: ignore[misc]
        """Signs with the time in the context of the request."""

        def _modify_request_before_signing(self, request: Any) -> None:
            request.context["timestamp"] = time.strftime(_STAMP, time.gmtime(request.context[_TIME]))
            super()._modify_request_before_signing(request)

    return Signer
