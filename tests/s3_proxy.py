"""A proxy in front of a real S3 server: counts requests, and misbehaves on purpose with some.

Signatures stay valid: the Host header that was signed is passed on. `tests/s3_misbehaviour.py` has ways to misbehave.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import socket
import struct
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol


class Request(NamedTuple):
    """One request that a client made.

    Attributes:
      operation: of S3, as PutObject.
      key: the path behind the bucket.
      number: how many of this operation came before, from 0.
    """

    operation: str
    key: str
    number: int


class Fault(NamedTuple):
    """An answer instead of the server's.

    Attributes:
      status: of HTTP.
      code: of S3, as SlowDown.
      after: whether the server is asked first, and its answer lost; the connection breaks then.
    """

    status: int
    code: str
    after: bool = False


class Answer(NamedTuple):
    """An answer of HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


class Exchange(Protocol):
    """One request in a proxy's hands, and what can be done with it."""

    seen: Request
    body: bytes
    headers: Any

    def forward(self, body: bytes | None = None) -> Answer:
        """Ask the server, with another body if one is given, and return its answer."""
        ...

    def answer(self, answer: Answer) -> None:
        """Answer the client."""
        ...

    def answer_half(self, answer: Answer) -> None:
        """Answer the client, but for the end of it, and reset the connection."""
        ...

    def reset(self) -> None:
        """Reset the connection."""
        ...

    def hang_up(self) -> None:
        """End the connection."""
        ...

    def wait_for_client(self) -> None:
        """Say nothing until the client has hung up."""
        ...


Misbehaviour = Callable[[Exchange], None]
_HANG_SECONDS = 30.0

Rule = Callable[[Request], Fault | Misbehaviour | None]


class Proxy:
    """What the tests see of a running proxy."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        self.requests: list[Request] = []
        self.rule: Rule = lambda request: None
        self._lock = threading.Lock()

    def note(self, operation: str, key: str) -> Request:
        with self._lock:
            number = sum(1 for request in self.requests if request.operation == operation)
            self.requests.append(request := Request(operation, key, number))
        return request

    def count(self, operation: str, prefix: str = "") -> int:
        return sum(1 for request in self.requests if request.operation == operation and request.key.startswith(prefix))

    def operations(self) -> set[str]:
        return {request.operation for request in self.requests}


class _Listener(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback for a client that was killed in the midst of a request: another test may watch stderr."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def s3_proxy(server_url: str) -> Iterator[Proxy]:
    """Start a proxy on a free port and stop it at the end."""
    upstream = urllib.parse.urlsplit(server_url).netloc

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.seen = proxy.note(*_operation(self.command, self.path, dict(self.headers)))
            fault = proxy.rule(self.seen)
            if fault is None:
                self.answer(self.forward())
            elif not isinstance(fault, Fault):
                fault(self)
            elif fault.after:
                self.forward()
                self.reset()
            else:
                self.answer(error_answer(fault.status, fault.code))

        def forward(self, body: bytes | None = None) -> Answer:
            sent = self.body if body is None else body
            return _forward(upstream, self.command, self.path, dict(self.headers), sent)

        def answer(self, answer: Answer) -> None:
            self.wfile.write(self._head(answer))
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def answer_half(self, answer: Answer) -> None:
            head, body = self._head(answer), b"" if self.command == "HEAD" else answer.body
            self.wfile.write(head + body[: len(body) // 2] if body else head[: len(head) // 2])
            self.reset()

        def reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

        def hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def wait_for_client(self) -> None:
            self.close_connection = True
            self.connection.settimeout(_HANG_SECONDS)
            with contextlib.suppress(OSError):
                self.connection.recv(1)

        def _head(self, answer: Answer) -> bytes:
            dropped = ("content-length", "transfer-encoding", "connection")
            lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() not in dropped]
            is_head = self.command == "HEAD"
            lines.append(
                f"Content-Length: {answer.headers.get('Content-Length', '0') if is_head else len(answer.body)}"
            )
            return "\r\n".join([*lines, "", ""]).encode("latin-1")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep quiet."""

    httpd = _Listener(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def error_answer(status: int, code: str) -> Answer:
    """Return an error as S3 says it."""
    text = f"<Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
    return Answer(status, {"Content-Type": "application/xml"}, text)


def _forward(upstream: str, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    connection = http.client.HTTPConnection(upstream, timeout=60)
    try:
        headers.pop("Expect", None)
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def _operation(method: str, path: str, headers: dict[str, str]) -> tuple[str, str]:
    url = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    _, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
    if method == "PUT" and any(name.lower() == "x-amz-copy-source" for name in headers):
        return "UploadPartCopy" if "partNumber" in query else "CopyObject", key
    if "delete" in query or ("uploads" in query and method == "GET"):
        return "DeleteObjects" if method == "POST" else "ListMultipartUploads", key
    names = {
        "PUT": "UploadPart" if "partNumber" in query else "PutObject",
        "POST": "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload",
        "HEAD": "HeadObject" if key else "HeadBucket",
        "DELETE": "AbortMultipartUpload" if "uploadId" in query else "DeleteObject",
        "GET": "GetObject" if key else "GetBucketLocation" if "location" in query else "ListObjects",
    }
    return names[method], key
