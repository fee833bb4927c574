"""Servers that break one guarantee each: a proxy in front of a real one, which goes behind its back."""

from __future__ import annotations

import contextlib
import email.utils
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.s3_misbehaviour import says
from tests.s3_proxy import Answer, Exchange, Misbehaviour, Request, Rule, error_answer
from tools.seaweedfs import Server

_NAPPING = 0.05
_CONDITIONS = ("if-match", "if-none-match")
_DIGEST = "x-amz-checksum-sha256"
_META = "x-amz-meta-"
_ALGORITHM = "x-amz-checksum-algorithm"


class BrokenServer:
    """Ways in which a server breaks its word; each returns the rule of a proxy in front of it."""

    def __init__(self, server: Server) -> None:
        self._client: Any = server.client()
        self._bucket = server.bucket
        self._bodies: dict[str, bytes] = {}

    def ignores(self, operation: str) -> Rule:
        """It does what its condition forbids."""
        return on(operation, self._against_condition)

    def looks_first(self, operation: str) -> Rule:
        """It looks whether the condition is met, and then writes: others may write in between."""
        return on(operation, self._look_and_write)

    def refuses_conditions(self) -> Rule:
        return lambda request: _refuse_conditions

    def takes_any_bytes(self, operation: str) -> Rule:
        return on(operation, self._take_any_bytes)

    def refuses_checksums(self) -> Rule:
        return lambda request: _refuse_checksums

    def reads_late(self) -> Rule:
        return on("GetObject", self._read_before)

    def shows_parts(self) -> Rule:
        return on("UploadPart", self._show_part)

    def _against_condition(self, exchange: Exchange) -> None:
        answer = exchange.forward()
        if answer.status not in (404, 412):
            exchange.answer(answer)
            return
        target = {"Bucket": self._bucket, "Key": exchange.seen.key}
        match exchange.seen.operation:
            case "PutObject":
                self._write(exchange)
            case "CompleteMultipartUpload":
                self._client.delete_object(**target)
                exchange.answer(exchange.forward())
            case _:
                self._client.delete_object(**target)
                exchange.answer(Answer(204, {}, b""))

    def _look_and_write(self, exchange: Exchange) -> None:
        target = {"Bucket": self._bucket, "Key": exchange.seen.key}
        found = ""
        with contextlib.suppress(self._client.exceptions.ClientError):
            found = self._client.head_object(**target)["ETag"]
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        if (found and "if-none-match" in headers) or headers.get("if-match", found) != found:
            exchange.answer(error_answer(412, "PreconditionFailed"))
            return
        if not any(name in headers for name in _CONDITIONS):
            exchange.answer(exchange.forward())
            return
        time.sleep(_NAPPING)
        self._write(exchange)

    def _write(self, exchange: Exchange) -> None:
        """Write what a request asks for, without its condition."""
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        more = {"ChecksumSHA256": headers[_DIGEST]} if _DIGEST in headers else {}
        metadata = {name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)}
        target = {"Bucket": self._bucket, "Key": exchange.seen.key}
        try:
            written = self._client.put_object(**target, Body=exchange.body, Metadata=metadata, **more)
        except self._client.exceptions.ClientError as exc:
            exchange.answer(error_answer(400, exc.response["Error"]["Code"]))
        else:
            exchange.answer(Answer(200, {"ETag": written["ETag"]}, b""))

    def _take_any_bytes(self, exchange: Exchange) -> None:
        answer = exchange.forward()
        if answer.status == 400:
            answer = Answer(200, {"ETag": '"any"'}, b"")
        exchange.answer(answer)

    def _read_before(self, exchange: Exchange) -> None:
        answer = exchange.forward()
        key, body = exchange.seen.key, answer.body
        before = self._bodies.get(key, body)
        self._bodies[key] = body
        headers = {name: value for name, value in answer.headers.items() if "sha256" not in name.lower()}
        exchange.answer(Answer(answer.status, headers, before))

    def _show_part(self, exchange: Exchange) -> None:
        self._client.put_object(Bucket=self._bucket, Key=exchange.seen.key, Body=b"a part")
        exchange.answer(exchange.forward())


def on(operation: str, misbehaviour: Misbehaviour) -> Rule:
    """Return what misbehaves with one operation."""
    return lambda request: misbehaviour if request.operation == operation else None


def denies(*operations: str) -> Rule:
    """Return what forbids some operations."""
    return lambda request: says(403, "AccessDenied") if request.operation in operations else None


def changes(change: Callable[[Request, Answer], Answer]) -> Rule:
    """Return what changes answers."""

    def misbehave(exchange: Exchange) -> None:
        exchange.answer(change(exchange.seen, exchange.forward()))

    return lambda request: misbehave


def only_listed_later(request: Request, answer: Answer) -> Answer:
    if request.operation != "ListObjects":
        return answer
    return answer._replace(body=re.sub(rb"<Contents>.*?</Contents>", b"", answer.body, flags=re.DOTALL))


def other_names(request: Request, answer: Answer) -> Answer:
    if request.operation != "ListObjects":
        return answer
    return answer._replace(body=re.sub(rb"a(?: |%20|\+)b<", b"a_b<", answer.body))


def one_etag(request: Request, answer: Answer) -> Answer:
    headers = {name: '"one"' if name.lower() == "etag" else value for name, value in answer.headers.items()}
    return answer._replace(headers=headers, body=re.sub(rb"<ETag>.*?</ETag>", b"<ETag>one</ETag>", answer.body))


def no_metadata(request: Request, answer: Answer) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if "x-amz-meta" not in name.lower()}
    return answer._replace(headers=headers)


def other_times(seconds: float, *names: str) -> Callable[[Request, Answer], Answer]:
    """Return what moves the times in some headers."""

    def change(request: Request, answer: Answer) -> Answer:
        def moved(value: str) -> str:
            return email.utils.formatdate(email.utils.parsedate_to_datetime(value).timestamp() + seconds, usegmt=True)

        headers = {name: moved(value) if name.lower() in names else value for name, value in answer.headers.items()}
        return answer._replace(headers=headers)

    return change


def never_aborts(aborted: list[str]) -> Rule:
    """Return what says that an upload was aborted, and keeps it; notes its path."""
    lock = threading.Lock()

    def misbehave(exchange: Exchange) -> None:
        with lock:
            aborted.append(exchange.seen.key)
        exchange.answer(Answer(204, {}, b""))

    return on("AbortMultipartUpload", misbehave)


def _has(exchange: Exchange, *names: str) -> bool:
    return any(name.lower() in names for name in exchange.headers)


def _refuse_conditions(exchange: Exchange) -> None:
    refused = _has(exchange, *_CONDITIONS)
    exchange.answer(error_answer(501, "NotImplemented") if refused else exchange.forward())


def _refuse_checksums(exchange: Exchange) -> None:
    refused = _has(exchange, _DIGEST, _ALGORITHM)
    exchange.answer(error_answer(501, "NotImplemented") if refused else exchange.forward())
