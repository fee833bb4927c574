"""Every operation of S3 meets every misbehaviour, on a real server behind a proxy that misbehaves.

What is expected of each is written in `docs/s3.md`, for users; the tables there are read here.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box import errors
from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import ObjectNotFoundError, StoreError
from beam_s3box.sizes import MiB
from beam_s3box.stores import S3Settings, S3Store
from beam_s3box.stores.retries import Retry
from tests.s3_misbehaviour import MISBEHAVIOURS
from tests.s3_proxy import Proxy, Request, s3_proxy
from tools.seaweedfs import REGION, Server

_PAGE = pathlib.Path(__file__).parents[2] / "docs" / "s3.md"
_NUMBERS = itertools.count()

SMALL = b"small body " * 10
LARGE = hashlib.shake_256(b"large").digest(6 * MiB)
OPERATIONS = {
    "PutObject": "s",
    "CreateMultipartUpload": "l",
    "UploadPart": "l",
    "CompleteMultipartUpload": "l",
    "AbortMultipartUpload": "l",
    "GetObject": "sl",
    "HeadObject": "sl",
    "ListObjectsV2": "sl",
    "DeleteObject": "sl",
}


def table(title: str) -> dict[tuple[str, str], str]:
    """Return what a table of the page says: by misbehaviour and operation."""
    section = _PAGE.read_text(encoding="utf-8").split(f"### {title}\n", 1)[1].split("\n#", 1)[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    heads = rows[0][1:]
    return {(row[0], head): cell for row in rows[2:] for head, cell in zip(heads, row[1:], strict=True)}


ONCE = table("Once")
ALWAYS = table("Every time")
CELLS = [
    pytest.param(fault, operation, size, id=f"{operation}-{'small' if size == 's' else 'large'}-{fault}")
    for operation, sizes in OPERATIONS.items()
    for size in sizes
    for fault in MISBEHAVIOURS
]


def test_the_page_knows_every_cell() -> None:
    cells = {(fault, operation) for fault in MISBEHAVIOURS for operation in OPERATIONS}
    assert ONCE.keys() == ALWAYS.keys() == cells


@pytest.fixture(scope="module")
def proxy(s3_server: Server) -> Iterator[Proxy]:
    with s3_proxy(s3_server.endpoint_url) as proxy:
        yield proxy
    # of uploads whose id never arrived, or that could not be dropped
    client = s3_server.client()
    while uploads := client.list_multipart_uploads(Bucket=s3_server.bucket, Prefix="matrix/").get("Uploads"):
        for left in uploads:
            client.abort_multipart_upload(Bucket=s3_server.bucket, Key=left["Key"], UploadId=left["UploadId"])


@pytest.mark.parametrize(("fault", "operation", "size"), CELLS)
def test_once(proxy: Proxy, s3_server: Server, fault: str, operation: str, size: str) -> None:
    run(proxy, s3_server, fault, operation, size, ONCE, lambda number: number == 0)


@pytest.mark.parametrize(("fault", "operation", "size"), CELLS)
def test_every_time(proxy: Proxy, s3_server: Server, fault: str, operation: str, size: str) -> None:
    run(proxy, s3_server, fault, operation, size, ALWAYS, lambda number: True)


def run(
    proxy: Proxy,
    server: Server,
    fault: str,
    operation: str,
    size: str,
    expected: dict[tuple[str, str], str],
    misbehaves: Callable[[int], bool],
) -> None:
    body, slow = SMALL if size == "s" else LARGE, fault == "slow"
    # who waits half a second finds a busy machine slow, too
    for read_timeout in (0.5, 2.0, 8.0) if slow else (60.0,):
        store, direct = stores(proxy, server, read_timeout, always=expected is ALWAYS)
        if operation in ("GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"):
            write(direct, body)
        with misbehaving(proxy, fault, operation, misbehaves) as seen:
            outcome = outcome_of(ACTIONS[operation], store, body)
        assert seen, "the operation was not called"
        check_state(operation, outcome, direct, body)
        if outcome == expected[fault, operation]:
            return
    assert outcome == expected[fault, operation]


@contextlib.contextmanager
def misbehaving(proxy: Proxy, fault: str, operation: str, misbehaves: Callable[[int], bool]) -> Iterator[list[Request]]:
    """Misbehave with the requests of an operation, of the numbers that say so; give those that came."""
    seen: list[Request] = []

    def rule(request: Request) -> Any:
        if operation == "AbortMultipartUpload" and request.operation == "UploadPart":
            return MISBEHAVIOURS["403"]
        if request.operation + ("V2" if request.operation == "ListObjects" else "") != operation:
            return None
        seen.append(request)
        return MISBEHAVIOURS[fault] if misbehaves(len(seen) - 1) else None

    proxy.rule = rule
    try:
        yield seen
    finally:
        proxy.rule = lambda request: None


def stores(proxy: Proxy, server: Server, read_timeout: float, always: bool) -> tuple[S3Store, S3Store]:
    """Return a store behind the proxy, and the same one without it."""
    place = f"s3://{server.bucket}/matrix/{next(_NUMBERS)}"
    reach = {"region": REGION, "part_bytes": 5 * MiB, "multipart_bytes": 5 * MiB, "concurrency": 1}
    retry = Retry(2 if always else 10, sleep=lambda seconds: None)
    behind: Any = {**reach, "endpoint_url": proxy.endpoint_url, "read_timeout": read_timeout}
    direct: Any = {**reach, "endpoint_url": server.endpoint_url}
    return (
        S3Store(place, S3Settings(**behind), server.admin, retry),
        S3Store(place, S3Settings(**direct), server.admin),
    )


def write(store: S3Store, body: bytes) -> None:
    put_once(store, "k", body, hashlib.sha256(body).hexdigest(), "application/gzip")


def outcome_of(action: Callable[[S3Store, bytes], None], store: S3Store, body: bytes) -> str:
    """Return the word of the page for what comes of it."""
    try:
        action(store, body)
    except StoreError as exc:
        public = next(kind.__name__ for kind in type(exc).__mro__ if hasattr(errors, kind.__name__))
        return public + (" + note" if getattr(exc, "__notes__", ()) else "")
    return "ok"


def check_get(store: S3Store, body: bytes) -> None:
    assert store.get("k") == body


def check_head(store: S3Store, body: bytes) -> None:
    info = store.stat("k")
    assert (info.size, info.sha256) == (len(body), hashlib.sha256(body).hexdigest())


def check_list(store: S3Store, body: bytes) -> None:
    assert [(info.key, info.size) for info in store.list()] == [("k", len(body))]


ACTIONS: dict[str, Callable[[S3Store, bytes], None]] = {
    **dict.fromkeys([name for name in OPERATIONS if not OPERATIONS[name].startswith("sl")], write),
    "GetObject": check_get,
    "HeadObject": check_head,
    "ListObjectsV2": check_list,
    "DeleteObject": lambda store, body: store.delete("k"),
}


def check_state(operation: str, outcome: str, direct: S3Store, body: bytes) -> None:
    """What is in the store agrees with what was said, and is whole."""
    try:
        found = direct.get("k")
    except ObjectNotFoundError:
        found = None
    if operation == "DeleteObject":
        assert found in ((None,) if outcome == "ok" else (None, body))
    elif operation in ("GetObject", "HeadObject", "ListObjectsV2"):
        assert found == body
    else:
        assert found in ((body,) if outcome == "ok" else (None, body))


def test_the_page_names_the_misbehaviours_that_are_tried() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    assert re.findall(
        r"^\| `([^`]+)` \| .+ \|$", text.split("## What comes of each failure")[1].split("### Once")[0], re.MULTILINE
    ) == [*MISBEHAVIOURS]
