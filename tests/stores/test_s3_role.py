"""A role is assumed through STS, with credentials that renew themselves."""

from __future__ import annotations

import datetime
import http.server
import threading
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from beam_s3box.errors import AccessError
from beam_s3box.stores import S3Store
from tools.seaweedfs import Identity, Server

MakeS3 = Callable[..., S3Store]
ROLE = "arn:aws:iam::123456789012:role/box"
ANSWER = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{0.access_key}</AccessKeyId><SecretAccessKey>{0.secret_key}</SecretAccessKey>
<SessionToken></SessionToken><Expiration>{1}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
DENIED = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"


class Sts(http.server.ThreadingHTTPServer):
    """Hands out one identity's keys, for as long as `lifetime` says; without an identity it refuses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.identity: Identity | None = None
        self.lifetime = datetime.timedelta(hours=1)
        self.asked: list[dict[str, list[str]]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Sts)
        server.asked.append(urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        until = datetime.datetime.now(datetime.UTC) + server.lifetime
        text = DENIED if server.identity is None else ANSWER.format(server.identity, f"{until:%Y-%m-%dT%H:%M:%SZ}")
        self.send_response(403 if server.identity is None else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    with Sts() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def source() -> Identity:
    """Keys that S3 does not know: only the role's work."""
    return Identity("source-access-key", "source-secret-key")


def test_works_with_the_keys_of_the_role(make_s3: MakeS3, s3_server: Server, sts: Sts) -> None:
    sts.identity = s3_server.admin
    store = make_s3(source(), role_arn=ROLE)
    assert list(store.list()) == []
    assert list(store.list()) == []
    (asked,) = sts.asked
    assert asked["RoleArn"] == [ROLE]
    assert asked["RoleSessionName"] == ["beam_s3box"]


def test_renews_what_expires(make_s3: MakeS3, s3_server: Server, sts: Sts) -> None:
    sts.identity = s3_server.admin
    sts.lifetime = datetime.timedelta(minutes=5)
    store = make_s3(source(), role_arn=f"{ROLE}-short")
    store.check_writable()
    asked = len(sts.asked)
    assert list(store.list()) == []
    assert list(store.list()) == []
    assert len(sts.asked) == asked + 2


def test_a_role_that_is_denied(make_s3: MakeS3, sts: Sts) -> None:
    store = make_s3(source(), "s3://box/role", role_arn=f"{ROLE}-denied")
    with pytest.raises(AccessError) as caught:
        store.get("k")
    assert str(caught.value) == (
        "GetObject s3://box/role/k failed after 1 attempt: AssumeRole: AccessDenied (403): these credentials may not do this: allow it "
        "for them, or use others: not you"
    )
