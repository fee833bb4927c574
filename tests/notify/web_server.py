"""A web server for tests of notifications: keeps what it gets, and answers as it is said."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import json
import pathlib
import ssl
import threading
from collections.abc import Iterator
from typing import Any

HOST = "127.0.0.1"


class Web:
    """What came, and what is answered.

    Attributes:
      url: of the server.
      paths, bodies: of the requests.
      statuses: of the next answers; then 200.
    """

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []


@contextlib.contextmanager
def web_server(certificate: pathlib.Path | None = None) -> Iterator[Web]:
    """Serve, with TLS if there is a file of certificate and key."""
    web = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            web.paths.append(self.path)
            web.bodies.append(json.loads(body))
            status = web.statuses.pop(0) if web.statuses else 200
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.close_connection = True

        def log_message(self, *arguments: Any) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    web.url = f"{scheme}://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_certificate(path: pathlib.Path) -> None:
    """Write a certificate for this machine, and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + private)
