"""Ways in which what stands between a client and S3 misbehaves."""

from __future__ import annotations

import re

from tests.s3_proxy import Answer, Exchange, Misbehaviour, error_answer

_HTML = Answer(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Log in to the Wi-Fi<br></body></html>")


def reset_before(exchange: Exchange) -> None:
    """The server never hears of it."""
    exchange.reset()


def reset_after(exchange: Exchange) -> None:
    """The server does it; the connection is reset instead of its answer."""
    exchange.forward()
    exchange.reset()


def lost_reply(exchange: Exchange) -> None:
    """The server does it; the connection ends without a word."""
    exchange.forward()
    exchange.hang_up()


def slow(exchange: Exchange) -> None:
    """The server does it; its answer comes too late."""
    exchange.forward()
    exchange.wait_for_client()


def without_etag(exchange: Exchange) -> None:
    """The server does it; the answer lacks what proves it: the ETag, and where there is none the UploadId."""
    status, headers, body = exchange.forward()
    if status < 300:
        headers = {name: value for name, value in headers.items() if name.lower() != "etag"}
        body = re.sub(rb"<(ETag|UploadId)>[^<]*</\1>", b"", body) if b"<?xml" in body[:5] else body
    exchange.answer(Answer(status, headers, body))


def error_in_200(exchange: Exchange) -> None:
    """The answer says 200, and its body that it failed."""
    exchange.answer(error_answer(200, "InternalError"))


def html(exchange: Exchange) -> None:
    """Something else answers."""
    exchange.answer(_HTML)


def truncated(exchange: Exchange) -> None:
    """The server does it; half of its answer comes."""
    exchange.answer_half(exchange.forward())


def bad_checksum(exchange: Exchange) -> None:
    """Bytes are changed on the way, or the server says that they were."""
    if exchange.seen.operation in ("PutObject", "UploadPart"):
        exchange.answer(exchange.forward(_spoiled(exchange.body)))
    elif exchange.seen.operation == "GetObject":
        status, headers, body = exchange.forward()
        exchange.answer(Answer(status, headers, _spoiled(body)))
    else:
        exchange.answer(error_answer(400, "BadDigest"))


def _spoiled(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


def says(status: int, code: str) -> Misbehaviour:
    """Return one that answers with an error of S3; the server never hears of it."""
    return lambda exchange: exchange.answer(error_answer(status, code))


MISBEHAVIOURS: dict[str, Misbehaviour] = {
    "reset before": reset_before,
    "reset after": reset_after,
    "lost reply": lost_reply,
    "403": says(403, "AccessDenied"),
    "409": says(409, "ConditionalRequestConflict"),
    "412": says(412, "PreconditionFailed"),
    "429": says(429, "TooManyRequests"),
    "500": says(500, "InternalError"),
    "503": says(503, "SlowDown"),
    "slow": slow,
    "200 without ETag": without_etag,
    "200 with Error": error_in_200,
    "HTML": html,
    "truncated": truncated,
    "bad checksum": bad_checksum,
}
