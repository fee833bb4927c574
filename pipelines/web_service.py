"""Events that a web service receives, buffered in local files and uploaded to S3: a short service to copy and change.

    python -m pipelines.web_service s3://bucket/events buffers 8080
    curl --data '{"page": "/"}' localhost:8080/web/clicks

An event is answered with 204 when it is on the local disk. What a crash leaves there is uploaded by the next process.
"""

from __future__ import annotations

import http
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from beam_s3box import JsonBufferStreamer, RecordError, S3Uploader


class Events(BaseHTTPRequestHandler):
    """Takes an event by `POST /domain/namespace`."""

    streamer: JsonBufferStreamer

    def do_POST(self) -> None:
        """Append the event to its stream's buffer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _, domain, namespace = (self.path + "//").split("/", 3)[:3]
        try:
            self.streamer.open(domain, namespace, size_limit=5_000_000, time_limit=60)
            self.streamer.append(domain, namespace, body)
        except RecordError as exc:
            self.send_error(http.HTTPStatus.BAD_REQUEST, str(exc))
        else:
            self.send_response(http.HTTPStatus.NO_CONTENT)
            self.end_headers()


def main() -> None:
    """Serve until SIGTERM or ^C, then upload what is buffered."""
    destination, folder, port = sys.argv[1:]
    bucket, _, prefix = destination.removeprefix("s3://").partition("/")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    uploader = S3Uploader(bucket=bucket, prefix=prefix)
    with JsonBufferStreamer(uploader, folder, format="json-lines", compression="gzip") as streamer:
        Events.streamer = streamer
        with ThreadingHTTPServer(("127.0.0.1", int(port)), Events) as server:
            sys.stderr.write(f"listening on port {server.server_port}\n")
            server.serve_forever()


if __name__ == "__main__":
    main()
