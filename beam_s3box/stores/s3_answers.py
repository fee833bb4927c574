"""Checks whether a response is from S3, for every operation, by one table.

A status of 200 does not prove it: login pages, web consoles and gateways send it for any request, and a 200 may contain
an error. botocore checks neither statuses below 300 nor fields, and returns an empty result for any unknown XML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple


class InvalidResponse(Exception):
    """The response is not from S3, or incomplete."""


class Expected(NamedTuple):
    """The requirements for the response of an operation.

    Attributes:
      fields: botocore's names of the fields that must have a value.
      either: fields of which one must have a value.
      statuses: the HTTP statuses.
      body: "none" for white space only, "object" for the bytes of an object, "xml" for any XML; otherwise the name of
        the root element, for operations whose valid responses may lack fields.
      entries: the fields that each listed object must have.
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
    "UploadPartCopy": Expected(("CopyPartResult",), body="CopyPartResult"),
    "CompleteMultipartUpload": Expected(("ETag",), ("Key", "Location"), body="xml"),
    "AbortMultipartUpload": Expected(statuses=(204, 200)),
    "ListParts": Expected(("IsTruncated",), body="ListPartsResult"),
    "ListMultipartUploads": Expected(("IsTruncated",), body="ListMultipartUploadsResult"),
    # 206 only for a request with a range: see `check_fields`
    "GetObject": Expected(_OBJECT, statuses=(200, 206), body="object"),
    "HeadObject": Expected(_OBJECT),
    "ListObjectsV2": Expected(("IsTruncated",), body="ListBucketResult", entries=("Key", "Size", "LastModified")),
    "DeleteObject": Expected(statuses=(204, 200)),
    "DeleteObjects": Expected(body="DeleteResult"),
    # servers have different names for its element, and its content is not used
    "GetBucketLocation": Expected(body="xml"),
}
"""By the name of the operation; no others are used."""

_NEXT = ("NextContinuationToken", "NextKeyMarker", "NextPartNumberMarker")
_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>)?\s*<(?:\w+:)?(\w+)")
_NOT_MODIFIED = 304
_PART = 206


def check_arrived(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Check status and body before botocore parses them, as a handler of its event `before-parse`.

    Raises:
      InvalidResponse: it is not a response of this operation.
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
        raise InvalidResponse(f"the status {status}, not {expected.statuses[0]}")
    if expected.body != "object":
        _check_body(expected, status, body)


def check_fields(operation: str, answer: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """Check the response as botocore has parsed it.

    Args:
      operation: one of `ANSWERS`.
      answer: the parsed response.
      sent: the parameters of the request.

    Raises:
      InvalidResponse: a field is missing, or the server returned another checksum than that of the body.
    """
    expected = ANSWERS[operation]
    if answer["ResponseMetadata"]["HTTPStatusCode"] == _PART and not ("Range" in sent and answer.get("ContentRange")):
        answer["Body"].close()
        raise InvalidResponse("the status 206, not 200" if "Range" not in sent else "a 206 without ContentRange")
    missing = [name for name in expected.fields if answer.get(name) in (None, "")]
    if expected.either and not any(answer.get(name) for name in expected.either):
        missing.append(" or ".join(expected.either))
    if answer.get("IsTruncated") and not any(map(answer.get, _NEXT)):
        missing.append("a marker of the next page")
    for entry in answer.get("Contents", ()) if expected.entries else ():
        missing += [f"{name} of an object" for name in expected.entries if entry.get(name) in (None, "")]
    if missing:
        if expected.body == "object":
            # nobody will read it, and its connection must not stay open
            answer["Body"].close()
        raise InvalidResponse(f"a {expected.statuses[0]} without {missing[0]}")
    returned, sent_checksum = answer.get("ChecksumSHA256"), sent.get("ChecksumSHA256")
    if returned and sent_checksum and returned != sent_checksum:
        raise InvalidResponse(f"the checksum {returned}, where {sent_checksum} was sent")


def _check_body(expected: Expected, status: int, body: bytes) -> None:
    root = _ROOT.match(body)
    found = root[1].decode() if root else ""
    if found == "Error":
        # botocore raises an error by its code
        return
    if expected.body == "none" and body.strip():
        raise InvalidResponse(f"a {status} with a body, which S3 does not send here: {_begin(body)}")
    if expected.body == "xml" and found.lower() in ("", "html"):
        raise InvalidResponse(f"a {status} without the XML that S3 sends: {_begin(body)}")
    if expected.body not in ("none", "xml", found):
        raise InvalidResponse(f"a {status} with another body than <{expected.body}>: {_begin(body)}")


def _check_redirect(operation: str, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Reject a redirect that is not from S3: botocore would look up the bucket's region, and be redirected for ever."""
    if status >= 400 or status == _NOT_MODIFIED or "x-amz-bucket-region" in headers:
        return
    if operation == "HeadBucket" or not isinstance(body, bytes) or b"<Code>" not in body:
        raise InvalidResponse(f"{status}: a redirect to {headers.get('location', 'nowhere')!r}, which S3 does not send")


def _begin(body: bytes) -> str:
    return repr(body[:60].decode("utf-8", "replace"))
