"""The address for clients: they log in as to Redshift, and each gets a session with the real server."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading

from redshift_stand_in import wire
from redshift_stand_in.errors import RedshiftError
from redshift_stand_in.faults import Faults
from redshift_stand_in.names import LongNames
from redshift_stand_in.postgres import Postgres
from redshift_stand_in.session import Copier, Session
from redshift_stand_in.wire import Message

_SERVER_VERSION = b"8.0.2"
"""Redshift's version; the driver can't parse the real server's."""

_KEPT = ("application_name", "client_encoding")
"""Parameters of the start-up message that the real server accepts, besides user and database."""


class Proxy:
    """Listens on a port of this machine.

    Args:
      server: the PostgreSQL behind it.
      password: password of the server's user.
      copier: runs COPY.
      faults: the log and the cuts.
      names: that are too long for the real server.
      port: to listen on; 0 for any free port.

    Raises:
      OSError: another program listens there.
    """

    def __init__(
        self, server: Postgres, password: str, copier: Copier, faults: Faults, names: LongNames, port: int = 0
    ) -> None:
        self._server = server
        self._password = password
        self._copier = copier
        self._faults = faults
        self._names = names
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[wire.Stream, threading.Thread] = {}
        self._listener = socket.create_server(("127.0.0.1", port))
        self.host, self.port = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, name="redshift-proxy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and drop all sessions."""
        # close() alone would leave accept() waiting
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.cut_all()

    def cut_all(self) -> None:
        """Drop all sessions, and wait until they have ended."""
        with self._lock:
            sessions = list(self._open.items())
        for client, _ in sessions:
            with contextlib.suppress(OSError):
                client.socket.shutdown(socket.SHUT_RDWR)
        for _, thread in sessions:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = wire.Stream(sock)
            thread = threading.Thread(target=self._serve, args=(client,), name="redshift-session", daemon=True)
            with self._lock:
                self._open[client] = thread
            thread.start()

    def _serve(self, client: wire.Stream) -> None:
        try:
            with contextlib.suppress(EOFError, OSError):
                self._session(client)
        finally:
            client.close()
            with self._lock:
                del self._open[client]

    def _session(self, client: wire.Stream) -> None:
        parameters = self._start(client)
        if parameters is None or not self._log_in(client, parameters):
            return
        kept = {name: parameters[name] for name in _KEPT if name in parameters}
        with contextlib.closing(self._server.session(**kept)) as backend:
            client.write(Message(b"R", b"\0\0\0\0"), *map(_as_redshift_greets, backend.greeting), wire.ready("I"))
            Session(next(self._numbers), client, backend, self._copier, self._faults, self._names).serve()

    def _start(self, client: wire.Stream) -> dict[str, str] | None:
        while True:
            code, parameters = wire.parse_start(client.read_start().body)
            if code in (wire.SSL_REQUEST, wire.GSS_REQUEST):
                client.socket.sendall(b"N")
            elif code == wire.CANCEL_REQUEST:
                return None
            else:
                return parameters

    def _log_in(self, client: wire.Stream, parameters: dict[str, str]) -> bool:
        user, database = parameters.get("user", ""), parameters.get("database", "")
        client.write(Message(b"R", b"\0\0\0\3"))
        given = client.read().body[:-1].decode()
        if user != self._server.user or given != self._password:
            client.write(wire.fatal(f'password authentication failed for user "{user}"', "28000"))
        elif database != self._server.database:
            client.write(wire.fatal(f'database "{database}" does not exist', "3D000"))
        else:
            return True
        return False


def _as_redshift_greets(message: Message) -> Message:
    if message.kind == b"S" and message.body.startswith(b"server_version\0"):
        return Message(b"S", b"server_version\0" + _SERVER_VERSION + b"\0")
    return message


__all__ = ["Proxy", "RedshiftError"]
