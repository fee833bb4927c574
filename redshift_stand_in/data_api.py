"""The Redshift Data API over HTTP, for the real `boto3.client("redshift-data")`: AWS JSON 1.1."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

from redshift_stand_in.data_jobs import DataApiError, Jobs

_CONTENT = "application/x-amz-json-1.1"


class DataApi:
    """Listens on a port of this machine.

    Args:
      jobs: runs the statements.
      port: to listen on; 0 for any free port.

    Raises:
      OSError: another program listens there.
    """

    def __init__(self, jobs: Jobs, port: int = 0) -> None:
        self._jobs = jobs
        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", port), _handler(self._answer))
        self._httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, name="redshift-data", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and wait for running statements."""
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()
        self._jobs.close()

    def _answer(self, target: str, request: dict[str, Any]) -> dict[str, Any]:
        steps: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "ExecuteStatement": self._jobs.execute,
            "BatchExecuteStatement": self._jobs.batch,
            "DescribeStatement": self._jobs.describe,
            "GetStatementResult": self._jobs.result,
            "CancelStatement": self._jobs.cancel,
            "ListStatements": self._jobs.all,
        }
        operation = target.removeprefix("RedshiftData.")
        if operation not in steps:
            raise DataApiError("UnknownOperationException", f"{operation} is not imitated")
        return steps[operation](request)


def _handler(answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body in one packet: otherwise the second waits 40 ms for the client's acknowledgement
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, answered = 200, answer(self.headers.get("X-Amz-Target", ""), json.loads(body))
            except DataApiError as exc:
                status, answered = 400, {"__type": exc.kind, "Message": str(exc), **exc.more}
            text = json.dumps(answered).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", _CONTENT)
            self.send_header("Content-Length", str(len(text)))
            with contextlib.suppress(OSError):
                self.end_headers()
                self.wfile.write(text)
                self.wfile.flush()

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    return Handler
