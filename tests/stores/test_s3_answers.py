"""The contract of answers: every operation, given every answer that is not its own, raises one of our errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import StoreError
from beam_s3box.stores import S3Store
from beam_s3box.stores.s3_answers import ANSWERS
from beam_s3box.stores.s3_objects import looked_up, read
from beam_s3box.stores.s3_requests import answer
from tools.s3_faults import Fault, lose_reply, reply, say, watched

MakeS3 = Callable[..., S3Store]

PART = {"UploadId": "u", "PartNumber": 1}
PARAMETERS: dict[str, dict[str, Any]] = {
    "PutObject": {"Body": b"body"},
    "UploadPart": {**PART, "Body": b"body"},
    "CompleteMultipartUpload": {"UploadId": "u", "MultipartUpload": {"Parts": [{"ETag": "e", "PartNumber": 1}]}},
    "AbortMultipartUpload": {"UploadId": "u"},
    "UploadPartCopy": {**PART, "CopySource": "b/k"},
    "ListParts": {"UploadId": "u"},
    "DeleteObjects": {"Delete": {"Objects": [{"Key": "k"}]}},
}
FINISH: dict[str, Callable[[Any], Any]] = {"GetObject": read, "HeadObject": lambda head: looked_up("k", head)}

XML = b'<?xml version="1.0" encoding="UTF-8"?>'
PAGE = b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>%b</Contents></ListBucketResult>"
DATED = {"ETag": '"e"', "Last_Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
INVALID: dict[str, Fault] = {
    "200": say(200),
    "200 with white space": say(200, b" \n "),
    "201": say(201, ETag='"e"'),
    "202": say(202, ETag='"e"'),
    "206": say(206, b"half", **DATED, Content_Range="bytes 0-3/500"),
    "304": say(304),
    "HTML": say(200, b"<html><body>Log in</body></html>", Content_Type="text/html"),
    "HTML that is no XML": say(200, b"<!DOCTYPE html><html><br></html>", Content_Type="text/html"),
    "HTML of a server that gives ETags": say(200, b"<html>console</html>", ETag='"e"', Content_Type="text/html"),
    "JSON": say(200, b'{"ok": true}', Content_Type="application/json"),
    "bytes": say(200, b"\x00\xff\xfe"),
    "XML of something else": say(200, XML + b"<ok/>"),
    "half of an XML": say(200, XML + b"<ListBucketResult><IsTruncated>fal"),
    "an error in a 200": say(200, XML + b"<Error><Code>AccessDenied</Code></Error>"),
    "301": say(301, Location="http://127.0.0.1:1/"),
    "302": say(302, Location="http://127.0.0.1:1/"),
    "307": say(307, Location="http://127.0.0.1:1/"),
    "308": say(308, Location="https://127.0.0.1:1/"),
    "301 with a region's name": say(301, x_amz_bucket_region="eu-central-1"),
    "400": say(400),
    "403 of a firewall": say(403, b"<!DOCTYPE html><html>no</html>"),
    "500 without a word": say(500),
    "502 of a gateway": say(502, b"<html>Bad Gateway</html>"),
    "503 as text": say(503, b"upstream connect error"),
}
RIGHT = {
    **{(operation, "200"): True for operation in ("AbortMultipartUpload", "DeleteObject")},
    # where the bucket is nobody needs to know
    ("GetBucketLocation", "XML of something else"): True,
}


@pytest.fixture
def store(make_s3: MakeS3) -> S3Store:
    return make_s3(max_attempts=2)


def ask(store: S3Store, operation: str) -> object:
    of_bucket = ("ListObjectsV2", "GetBucketLocation", "ListMultipartUploads", "DeleteObjects")
    key = None if operation in of_bucket else "k"
    finish = FINISH.get(operation, answer)
    return store.requests.send(operation, key, PARAMETERS.get(operation, {}), finish=finish)


@pytest.mark.parametrize("kind", INVALID)
@pytest.mark.parametrize("operation", ANSWERS)
def test_an_invalid_response_is_an_error_of_ours(store: S3Store, operation: str, kind: str) -> None:
    with watched(store.client) as wire:
        # a redirect makes botocore look for the region
        for name in (operation, "HeadBucket"):
            wire.plan(name, *[INVALID[kind]] * 20)
        if (operation, kind) in RIGHT:
            ask(store, operation)
            return
        with pytest.raises(StoreError, match=operation):
            ask(store, operation)
    assert len(wire.sent) <= 8


ENTRY = b"<Key>k</Key><Size>1</Size><LastModified>2024-01-01T00:00:00Z</LastModified><ETag>e</ETag>"
WRONG: list[tuple[str, Fault]] = [
    ("HeadObject", say(200, ETag='"e"')),
    ("HeadObject", say(200, Last_Modified=DATED["Last_Modified"])),
    ("HeadObject", say(200, b"", **{**DATED, "Last_Modified": "yesterday"})),
    ("HeadObject", say(200, b"", **DATED, Content_Length="much")),
    ("HeadObject", say(204, b"", **DATED)),
    ("GetObject", say(200, b"body", ETag='"e"')),
    ("GetObject", say(200, b"body", **DATED, Content_Length="5")),
    ("GetObject", say(200, b"body", **DATED, x_amz_meta_sha256="0" * 64)),
    ("GetObject", say(200, b"body", **{**DATED, "Last_Modified": "yesterday"})),
    ("ListObjectsV2", say(200, b"<ListBucketResult/>")),
    ("ListObjectsV2", say(200, b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")),
    ("ListObjectsV2", say(200, PAGE % b"")),
    ("ListObjectsV2", say(200, PAGE % ENTRY.replace(b"<Key>k</Key>", b""))),
    ("ListObjectsV2", say(200, PAGE % ENTRY.replace(b"<Size>1</Size>", b""))),
    ("ListObjectsV2", say(200, PAGE % ENTRY.replace(b"<Size>1", b"<Size>one"))),
    ("ListObjectsV2", say(200, PAGE % ENTRY.replace(b"2024-01-01T00:00:00Z", b"yesterday"))),
    ("CompleteMultipartUpload", say(200, b"<R><ETag>e</ETag></R>")),
    ("CompleteMultipartUpload", say(200, b"<R><Key>k</Key></R>")),
    ("CreateMultipartUpload", say(200, b"<R><UploadId></UploadId></R>")),
    ("UploadPart", say(200, ETag="")),
    ("PutObject", say(204, ETag='"e"')),
    ("DeleteObject", say(202)),
    ("UploadPartCopy", say(200, b"<R><ETag>e</ETag></R>")),
    ("ListMultipartUploads", say(200, b"<ListMultipartUploadsResult/>")),
    (
        "ListMultipartUploads",
        say(200, b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>"),
    ),
]


@pytest.mark.parametrize(("operation", "wrong"), WRONG)
def test_an_answer_that_lacks_something_is_an_error_of_ours(store: S3Store, operation: str, wrong: Fault) -> None:
    with watched(store.client) as wire:
        wire.plan(operation, *[wrong] * 2)
        with pytest.raises(
            StoreError, match=f"{operation} .* failed after 2 attempts: (this is no answer of S3|Incomp)"
        ):
            ask(store, operation)


@pytest.mark.parametrize("kind", ["200", "201", "206", "HTML", "HTML that is no XML", "JSON", "XML of something else"])
@pytest.mark.parametrize("operation", ANSWERS)
def test_an_invalid_response_may_have_been_an_accident(store: S3Store, operation: str, kind: str) -> None:
    right = {
        **dict.fromkeys(["PutObject", "UploadPart"], say(200, ETag='"e"')),
        "CreateMultipartUpload": say(200, b"<R><UploadId>u</UploadId></R>"),
        "CompleteMultipartUpload": say(200, b"<R><ETag>e</ETag><Location>http://h/k</Location></R>"),
        **dict.fromkeys(["AbortMultipartUpload", "DeleteObject"], say(204)),
        "GetObject": say(200, b"body", **DATED),
        "HeadObject": say(200, b"", **DATED),
        "ListObjectsV2": say(200, PAGE % ENTRY),
        "GetBucketLocation": say(200, b"<LocationConstraint/>"),
        "UploadPartCopy": say(200, b"<CopyPartResult><ETag>e</ETag></CopyPartResult>"),
        "ListMultipartUploads": say(
            200, b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        ),
        "ListParts": say(200, b"<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"),
        "DeleteObjects": say(200, b"<DeleteResult/>"),
    }
    with watched(store.client) as wire:
        wire.plan(operation, INVALID[kind], right[operation])
        ask(store, operation)
    assert len(wire.sent) == (1 if (operation, kind) in RIGHT else 2)


def put(store: S3Store, body: bytes = b"body") -> int:
    return put_once(store, "k", body, hashlib.sha256(body).hexdigest(), "text/plain")


def test_a_write_whose_every_answer_is_spoiled_is_looked_up(make_s3: MakeS3) -> None:
    """The server did it, and something between spoiled what it said."""

    def spoil(request: Any) -> Any:
        with pytest.raises(Exception, match="closed"):
            lose_reply(request)
        return say(200)(request)

    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", spoil, *[say(200)] * 2)
        put(store)
    assert wire.sent == [*["PutObject"] * 3, "HeadObject"]
    assert store.get("k") == b"body"


def test_a_server_that_tells_another_checksum_has_other_bytes(make_s3: MakeS3) -> None:
    store = make_s3(multipart_bytes=1)
    other = say(200, ETag='"e"', x_amz_checksum_sha256="b" * 43 + "=")
    with watched(store.client) as wire:
        wire.plan("UploadPart", *[other] * 3)
        with pytest.raises(StoreError, match=r"UploadPart .* the checksum b+=, where .* was sent"):
            put(store)
    assert list(store.list()) == []


def test_a_write_that_nobody_did_stays_an_error(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", *[say(200)] * 3)
        with pytest.raises(StoreError, match=r"PutObject .* failed after 3 attempts: this is no answer of S3"):
            put(store)
    assert list(store.list()) == []


@pytest.mark.parametrize("kept", [b"body", b"other"])
def test_a_server_that_keeps_no_metadata_is_asked_for_the_bytes(make_s3: MakeS3, kept: bytes) -> None:
    store = make_s3()
    store.client.put_object(Bucket="box", Key=store.root.removeprefix("s3://box/") + "/k", Body=kept.ljust(4)[:4])
    if kept == b"body":
        assert put(store) == 1
    else:
        with pytest.raises(StoreError, match="an object is already there"):
            put(store)


def test_a_listing_that_goes_round_ends(store: S3Store) -> None:
    page = b"<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>"
    with watched(store.client) as wire:
        wire.plan("ListObjectsV2", *[say(200, b"<ListBucketResult>%b</ListBucketResult>" % page)] * 5)
        with pytest.raises(StoreError, match="the same page again"):
            list(store.list())
    assert len(wire.sent) == 2


def test_the_fakes_read_what_they_are_sent(make_s3: MakeS3) -> None:
    """A fake that answers without reading makes a second attempt look whole that is not."""
    store = make_s3(multipart_bytes=1)
    read_by: list[int] = []

    def note(request: Any) -> Any:
        answered = reply(503, "SlowDown")(request)
        read_by.append(len(request.body.read()))
        return answered

    with watched(store.client) as wire:
        wire.plan("UploadPart", note)
        put(store)
    assert read_by == [0]


def test_the_names_of_metadata_may_come_with_a_capital(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("HeadObject", say(200, b"", **DATED, X_Amz_Meta_Sha256="f" * 64))
        assert store.stat("k").sha256 == "f" * 64
