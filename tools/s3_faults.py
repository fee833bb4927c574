"""Watch an S3 client's requests, and let some of them fail, without a proxy and without patching.

What answers here reads the request's body as a server does: a second attempt that sends only what the first one left
is not to look like a whole one.
"""

from __future__ import annotations

import collections
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

Fault = Callable[[Any], AWSResponse | None]
"""Takes a request that is about to be sent; answers it, lets it pass (None) or raises."""


class Wire:
    """What went over the wire, and what shall go wrong there.

    Attributes:
      sent: the operations in the order they were begun, such as `PutObject`.
      requests: the requests themselves.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.requests: list[Any] = []
        self._faults: dict[str, collections.deque[Fault]] = collections.defaultdict(collections.deque)
        self._lock = threading.Lock()

    def plan(self, operation: str, *faults: Fault) -> None:
        """Let the next requests of an operation meet these faults, one each."""
        self._faults[operation].extend(faults)

    def __call__(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        with self._lock:
            self.sent.append(operation)
            self.requests.append(request)
            faults = self._faults[operation]
            fault = faults.popleft() if faults else let_pass
        return fault(request)


@contextmanager
def watched(client: Any) -> Iterator[Wire]:
    """Watch a client's requests within the block."""
    wire = Wire()
    client.meta.events.register("before-send.s3", wire)
    try:
        yield wire
    finally:
        client.meta.events.unregister("before-send.s3", wire)


def let_pass(request: Any) -> None:
    """Let the request go to the server."""


def reply(status: int, code: str = "", message: str = "", **more: str) -> Fault:
    """Return a fault that answers in the server's place: with an error, or with nothing."""
    fields = {"Code": code, "Message": message, **more}
    body = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return say(status, f"<Error>{body}</Error>".encode() if code else b"")


def say(status: int, text: bytes = b"", **headers: str) -> Fault:
    """Return a fault that answers in the server's place with this text; `x_y` names the header `x-y`."""
    said: Any = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: Any) -> AWSResponse:
        read_body(request)
        return AWSResponse(
            request.url, status, HTTPHeaders.from_dict({"Content-Length": str(len(text)), **said}), _Raw(text)
        )

    return answer


def read_body(request: Any) -> bytes:
    """Take a request's body, as a server does that answers when all of it came."""
    body = request.body
    return body.read() if hasattr(body, "read") else bytes(body or b"")


def cut_within(request: Any) -> None:
    """Break the connection when half of the body was sent."""
    if hasattr(request.body, "read"):
        request.body.read(int(request.headers["Content-Length"]) // 2)
    raise ConnectionClosedError(endpoint_url=request.url, request=request, error="Connection reset by peer")


def lose_reply(request: Any) -> None:
    """Let the server do it, and lose its answer."""
    _do(request)
    raise ConnectionClosedError(endpoint_url=request.url, request=request, error="Connection reset by peer")


def replace_reply(request: Any) -> AWSResponse | None:
    """Let the server do it, and answer in its place with a page, as a proxy may."""
    _do(request)
    return say(200, b"<html><body>Log in</body></html>", Content_Type="text/html")(request)


def _do(request: Any) -> None:
    session = URLLib3Session()
    try:
        answer = session.send(request)
    finally:
        session.close()
    if answer.status_code >= 300:
        raise AssertionError(f"the server refused what it should have done: {answer.text}")


def cut_off(request: Any) -> None:
    """Break the connection when all was sent, but before the server did anything, or so it seems."""
    read_body(request)
    raise ConnectionClosedError(endpoint_url=request.url, request=request, error="Connection reset by peer")


def interrupt(request: Any) -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


class _Raw(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()
