"""What an answer must carry to be one of S3. Every operation's answer is checked here, by one table.

A 200 is no proof: pages to log in, web consoles and gateways say it to everything, and a 200 may hold an error.
botocore checks no status below 300 and no field, and makes an empty result of any XML that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple


class OddAnswer(Exception):
    """What answered is not S3, or not all of its answer came."""


class Expected(NamedTuple):
    """What an operation's answer must carry.

    Attributes:
      fields: names of botocore that must have a value.
      either: of these, one must.
      statuses: of HTTP.
      body: "none" but white space, "object" for its bytes, "xml" for what the fields are read from; else the name of
        the XML's outermost element, where fields could be missing in an answer that is right.
      entries: what each listed object must have.
    """

    fields: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    body: Literal["none", "object", "xml"] | str = "none"
    entries: tuple[str, ...] = ()


_OBJECT = ("ETag", "LastModified", "ContentLength")

ANSWERS: Final[Mapping[str, Expected]] = {
    "PutObject": Expected(("ETag",)),
    "CreateMultipartUpload": Expected(("UploadId",), body="xml"),
    "UploadPart": Expected(("ETag",)),
    "CompleteMultipartUpload": Expected(("ETag",), ("Key", "Location"), body="xml"),
    "AbortMultipartUpload": Expected(statuses=(204, 200)),
    # 206, if a part was asked for: `check_fields` knows
    "GetObject": Expected(_OBJECT, statuses=(200, 206), body="object"),
    "HeadObject": Expected(_OBJECT),
    "ListObjectsV2": Expected(("IsTruncated",), body="ListBucketResult", entries=("Key", "Size", "LastModified")),
    "DeleteObject": Expected(statuses=(204, 200)),
    # servers name its element in more than one way, and nothing depends on what it says
    "GetBucketLocation": Expected(body="xml"),
}
"""By the operation's name. What is not in here is not asked for."""

_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>)?\s*<(?:\w+:)?(\w+)")
_NOT_MODIFIED = 304
_PART = 206


def check_arrived(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Check status and body before botocore reads them; a handler of its event `before-parse.s3`.

    Raises:
      OddAnswer: it is not what the operation answers with.
    """
    status, body = response_dict["status_code"], response_dict["body"]
    if status >= 300:
        _check_redirect(operation_model.name, status, response_dict["headers"], body)
        return
    expected = ANSWERS.get(operation_model.name)
    if expected is None:
        return
    if status not in expected.statuses:
        if expected.body == "object":
            body.close()
        raise OddAnswer(f"the status {status}, not {expected.statuses[0]}")
    if expected.body != "object":
        _check_body(expected, status, body)


def check_fields(operation: str, answer: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """Check what botocore read.

    Args:
      operation: one of `ANSWERS`.
      answer: what botocore made of the answer.
      sent: the request's parameters.

    Raises:
      OddAnswer: something is missing, or the server tells another checksum than that of the body.
    """
    expected = ANSWERS[operation]
    if answer["ResponseMetadata"]["HTTPStatusCode"] == _PART and not ("Range" in sent and answer.get("ContentRange")):
        answer["Body"].close()
        raise OddAnswer("the status 206, not 200" if "Range" not in sent else "a 206 without ContentRange")
    missing = [name for name in expected.fields if answer.get(name) in (None, "")]
    if expected.either and not any(answer.get(name) for name in expected.either):
        missing.append(" or ".join(expected.either))
    if answer.get("IsTruncated") and not answer.get("NextContinuationToken"):
        missing.append("NextContinuationToken")
    for entry in answer.get("Contents", ()) if expected.entries else ():
        missing += [f"{name} of an object" for name in expected.entries if entry.get(name) in (None, "")]
    if missing:
        if expected.body == "object":
            # nobody will read it, and its connection is not to stay open
            answer["Body"].close()
        raise OddAnswer(f"a {expected.statuses[0]} without {missing[0]}")
    told, meant = answer.get("ChecksumSHA256"), sent.get("ChecksumSHA256")
    if told and meant and told != meant:
        raise OddAnswer(f"the checksum {told}, where {meant} was sent")


def _check_body(expected: Expected, status: int, body: bytes) -> None:
    root = _ROOT.match(body)
    found = root[1].decode() if root else ""
    if found == "Error":
        # botocore makes an error of it, by its code
        return
    if expected.body == "none" and body.strip():
        raise OddAnswer(f"a {status} with a body, which S3 does not send here: {_begin(body)}")
    if expected.body == "xml" and found.lower() in ("", "html"):
        raise OddAnswer(f"a {status} without the XML that S3 sends: {_begin(body)}")
    if expected.body not in ("none", "xml", found):
        raise OddAnswer(f"a {status} with another body than <{expected.body}>: {_begin(body)}")


def _check_redirect(operation: str, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Refuse a redirect that is not S3's: botocore would look for the bucket's region, and be redirected for ever."""
    if status >= 400 or status == _NOT_MODIFIED or "x-amz-bucket-region" in headers:
        return
    if operation == "HeadBucket" or not isinstance(body, bytes) or b"<Code>" not in body:
        raise OddAnswer(f"{status}: a redirect to {headers.get('location', 'nowhere')!r}, which S3 does not send")


def _begin(body: bytes) -> str:
    return repr(body[:60].decode("utf-8", "replace"))
