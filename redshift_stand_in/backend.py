"""The proxy's side of a session with the real server: statements, rows, and COPY FROM STDIN."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Iterable

from redshift_stand_in import wire
from redshift_stand_in.errors import RedshiftError
from redshift_stand_in.wire import Message

_CHUNK = 1 << 18


@dataclasses.dataclass
class Answer:
    """The result of a statement.

    Attributes:
      columns: name and type of each.
      rows: values in text format.
      tag: such as `INSERT 0 3`.
    """

    columns: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    rows: list[list[str | None]] = dataclasses.field(default_factory=list)
    tag: str = ""


class Backend:
    """A connection to PostgreSQL, or through the proxy to itself.

    Args:
      connect: opens the socket.
      parameters: parameters of the start-up message: user, database and others that the server needs.
      password: for a server that asks for one in clear text.
    """

    def __init__(
        self, connect: Callable[[], socket.socket], parameters: dict[str, str], password: str | None = None
    ) -> None:
        self.stream = wire.Stream(connect())
        self.status = "I"
        self.greeting: list[Message] = []
        self._password = password
        self.stream.write(wire.start(parameters))
        self._log_in()

    def _log_in(self) -> None:
        while True:
            message = self.stream.read()
            if message.kind == b"R":
                if message.body == b"\0\0\0\3":
                    self.stream.write(Message(b"p", wire.text(self._password or "")))
                continue
            if message.kind == b"E":
                self.stream.close()
                raise _failure(message)
            if message.kind == b"Z":
                self.status = message.body.decode()
                return
            self.greeting.append(message)

    def run(self, sql: str) -> Answer:
        """Run a statement of the stand-in and return its rows, or raise RedshiftError with the server's message."""
        self.stream.write(wire.query(sql))
        return self._collect(Answer())

    def copy_in(self, sql: str, lines: Iterable[str]) -> None:
        """Run `COPY … FROM STDIN` with lines in PostgreSQL's text format."""
        self.stream.write(wire.query(sql))
        self._collect(Answer(), stop=b"G")
        buffer = bytearray()
        for line in lines:
            buffer += line.encode()
            if len(buffer) >= _CHUNK:
                self.stream.write(Message(b"d", bytes(buffer)))
                buffer.clear()
        self.stream.write(Message(b"d", bytes(buffer)), Message(b"c", b""))
        self._collect(Answer())

    def relay(self, message: Message, until: bytes, send: Callable[[Message], None]) -> Message:
        """Forward a message and pass the responses to `send`, up to one of the kinds `until`, which is returned.

        ReadyForQuery is not passed: the caller decides when the client may go on.
        """
        self.stream.write(message)
        if message.kind not in (b"Q", b"S"):
            # without it the server would hold its response until the client's Sync
            self.stream.write(Message(b"H", b""))
        while True:
            answer = self.stream.read()
            if answer.kind == b"Z":
                self.status = answer.body.decode()
            else:
                send(answer)
            if answer.kind in until:
                return answer

    def close(self) -> None:
        """Drop the connection: what was not committed is rolled back."""
        self.stream.close()

    def _collect(self, answer: Answer, stop: bytes = b"Z") -> Answer:
        failed: RedshiftError | None = None
        while True:
            message = self.stream.read()
            if message.kind == b"T":
                answer.columns = wire.described(message.body)
            elif message.kind == b"D":
                answer.rows.append(wire.values_of(message.body))
            elif message.kind == b"C":
                answer.tag = message.body[:-1].decode()
            elif message.kind == b"E":
                failed = _failure(message)
            elif message.kind == b"Z":
                self.status = message.body.decode()
            if message.kind in (stop, b"Z"):
                break
        if failed is not None:
            raise failed
        return answer


def _failure(message: Message) -> RedshiftError:
    fields = wire.fields_of(message.body)
    return RedshiftError(fields.get("M", ""), fields.get("C", "XX000"), fields.get("D", ""))


def literal(value: str | int | None) -> str:
    """Return a value as SQL text, for statements of the stand-in."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "E'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "") + "'"


def identifier(name: str) -> str:
    """Return a quoted name, for statements of the stand-in."""
    return '"' + name.replace('"', '""') + '"'
