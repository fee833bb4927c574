"""A proxy in front of a real S3 server: counts requests, and refuses some on purpose.

Signatures stay valid: the Host header that was signed is passed on.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import NamedTuple


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


Rule = Callable[[Request], Fault | None]


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


@contextlib.contextmanager
def s3_proxy(server_url: str) -> Iterator[Proxy]:
    """Start a proxy on a free port and stop it at the end."""
    upstream = urllib.parse.urlsplit(server_url).netloc

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = proxy.note(*_operation(self.command, self.path, dict(self.headers)))
            fault = proxy.rule(request)
            if fault is None or fault.after:
                answer = _forward(upstream, self.command, self.path, dict(self.headers), body)
            if fault is None:
                self._answer(*answer)
            elif fault.after:
                self.close_connection = True
                self.connection.close()
            else:
                text = f"<Error><Code>{fault.code}</Code><Message>on purpose</Message></Error>".encode()
                self._answer(fault.status, {"Content-Type": "application/xml"}, text)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep quiet."""

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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


def _forward(
    upstream: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(upstream, timeout=60)
    try:
        headers.pop("Expect", None)
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def _operation(method: str, path: str, headers: dict[str, str]) -> tuple[str, str]:
    url = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    _, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
    if method == "PUT" and any(name.lower() == "x-amz-copy-source" for name in headers):
        return "CopyObject", key
    names = {
        "PUT": "UploadPart" if "partNumber" in query else "PutObject",
        "POST": "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload",
        "HEAD": "HeadObject" if key else "HeadBucket",
        "DELETE": "AbortMultipartUpload" if "uploadId" in query else "DeleteObject",
        "GET": "GetObject" if key else "GetBucketLocation" if "location" in query else "ListObjects",
    }
    return names[method], key
