"""Messages of the PostgreSQL protocol, version 3: framing, and those that the proxy reads or writes itself."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import NamedTuple

from redshift_stand_in.errors import RedshiftError

PROTOCOL = 196_608
SSL_REQUEST = 80_877_103
GSS_REQUEST = 80_877_104
CANCEL_REQUEST = 80_877_102

_OID_JSON = 114
_OID_SUPER = 4000
"""The type of a SUPER column in the description of a row."""


class Message(NamedTuple):
    """One message; `kind` is b"" for the first of a session, which has none."""

    kind: bytes
    body: bytes

    def packed(self) -> bytes:
        """Return the bytes on the wire."""
        return self.kind + struct.pack("!i", len(self.body) + 4) + self.body


class Stream:
    """A socket that is read by whole messages."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._file = sock.makefile("rb")

    def read_start(self) -> Message:
        """Return the first message of a session, without a kind."""
        return Message(b"", self._take(self._length()))

    def read(self) -> Message:
        """Return the next message, or raise EOFError if the other side is gone."""
        kind = self._take(1)
        return Message(kind, self._take(self._length()))

    def write(self, *messages: Message) -> None:
        """Send messages."""
        self.socket.sendall(b"".join(message.packed() for message in messages))

    def close(self) -> None:
        """Close without a message: the other side sees a lost connection."""
        # a reader in another thread is woken; close() alone would leave it waiting
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self.socket.close()

    def _length(self) -> int:
        return int(struct.unpack("!i", self._take(4))[0]) - 4

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError("the connection is closed")
        return data


def text(value: str) -> bytes:
    """Return a string of the protocol: UTF-8 and a zero byte."""
    return value.encode() + b"\0"


def query(sql: str) -> Message:
    """Return a simple query."""
    return Message(b"Q", text(sql))


def start(parameters: dict[str, str]) -> Message:
    """Return the first message of a session."""
    pairs = b"".join(text(name) + text(value) for name, value in parameters.items())
    return Message(b"", struct.pack("!i", PROTOCOL) + pairs + b"\0")


def parse_start(body: bytes) -> tuple[int, dict[str, str]]:
    """Return the code and the parameters of a session's first message."""
    code = int(struct.unpack("!i", body[:4])[0])
    if code != PROTOCOL:
        return code, {}
    words = [word.decode() for word in body[4:].split(b"\0")]
    return code, dict(zip(words[0::2], words[1::2], strict=False))


def parse_parse(body: bytes) -> tuple[str, str, bytes]:
    """Return name, statement and types of the parameters of a Parse message."""
    name, sql, types = body.split(b"\0", 2)
    return name.decode(), sql.decode(), types


def parse_bind(body: bytes) -> tuple[str, str]:
    """Return portal and statement of a Bind message."""
    portal, name, _ = body.split(b"\0", 2)
    return portal.decode(), name.decode()


def error(failure: RedshiftError) -> Message:
    """Return an ErrorResponse."""
    fields = {"S": "ERROR", "V": "ERROR", "C": failure.sqlstate, "M": failure.message, "D": failure.detail}
    body = b"".join(key.encode() + text(value) for key, value in fields.items() if value)
    return Message(b"E", body + b"\0")


def fatal(message: str, sqlstate: str) -> Message:
    """Return the ErrorResponse of a rejected session."""
    return Message(b"E", b"SFATAL\0VFATAL\0C" + text(sqlstate) + b"M" + text(message) + b"\0")


def notice(message: str) -> Message:
    """Return a message that psql shows as INFO."""
    return Message(b"N", b"SINFO\0VINFO\0C00000\0M" + text(message) + b"\0")


def fields_of(body: bytes) -> dict[str, str]:
    """Return the fields of an ErrorResponse by their letters."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def ready(status: str) -> Message:
    """Return ReadyForQuery with a state of the transaction: I, T or E."""
    return Message(b"Z", status.encode())


def described(body: bytes) -> list[tuple[str, int]]:
    """Return name and type of each column of a RowDescription."""
    columns: list[tuple[str, int]] = []
    offset = 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        end = body.index(b"\0", offset)
        columns.append((body[offset:end].decode(), struct.unpack("!ihi", body[end + 1 : end + 11])[2]))
        offset = end + 19
    return columns


def as_redshift_describes(body: bytes, original: dict[str, str]) -> bytes:
    """Return a RowDescription with SUPER as Redshift's type, and long names as they were given."""
    out = [body[:2]]
    offset = 2
    while offset < len(body):
        end = body.index(b"\0", offset)
        name = body[offset:end].decode()
        fixed = bytearray(body[end + 1 : end + 19])
        if struct.unpack("!i", fixed[6:10])[0] == _OID_JSON:
            fixed[6:10] = struct.pack("!i", _OID_SUPER)
        out.append(text(original.get(name, name)) + fixed)
        offset = end + 19
    return b"".join(out)


def values_of(body: bytes) -> list[str | None]:
    """Return the values of a DataRow in text format."""
    values: list[str | None] = []
    offset = 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        length = struct.unpack("!i", body[offset : offset + 4])[0]
        offset += 4
        values.append(None if length < 0 else body[offset : offset + length].decode())
        offset += max(length, 0)
    return values
