"""One client's session: simple and extended queries, forwarded to the real server or answered here.

Every message is answered before the next is read. So a statement of the stand-in, such as the rows of a COPY, can be
sent to the server between two of the client's, in the client's transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from redshift_stand_in import wire
from redshift_stand_in.backend import Backend, literal
from redshift_stand_in.copy_options import CopyCommand
from redshift_stand_in.dialect import Statement, translate
from redshift_stand_in.errors import IN_FAILED_TRANSACTION, IN_TRANSACTION, RedshiftError
from redshift_stand_in.failures import as_redshift_fails
from redshift_stand_in.faults import Faults, Seen
from redshift_stand_in.names import LongNames
from redshift_stand_in.wire import Message

_ENDS = {b"P": b"1E", b"B": b"2E", b"D": b"TnE", b"E": b"CIsE", b"C": b"3E", b"S": b"Z", b"Q": b"Z"}
_ABORTED = RedshiftError(
    "current transaction is aborted, commands ignored until end of transaction block", IN_FAILED_TRANSACTION
)


class LoadFailed(RedshiftError):
    """A COPY that failed after its load began; its id is used up.

    Args:
      failure: for the client.
      copy_id: id of the load.
    """

    def __init__(self, failure: RedshiftError, copy_id: int) -> None:
        super().__init__(failure.message, failure.sqlstate, failure.detail)
        self.copy_id = copy_id


class Copier(Protocol):
    """Runs a COPY in a session's transaction."""

    def run(self, backend: Backend, command: CopyCommand) -> tuple[int, int]:
        """Return the id of the load and the number of rows; LoadFailed or RedshiftError if it fails."""


class _CutError(Exception):
    """The connection is dropped on purpose."""


class Session:
    """A client that has logged in.

    Args:
      number: number of the session, for the log.
      client: its connection.
      backend: its session with the real server.
      copier: runs COPY.
      faults: the log and the cuts.
      names: that are too long for the real server.
    """

    def __init__(
        self, number: int, client: wire.Stream, backend: Backend, copier: Copier, faults: Faults, names: LongNames
    ) -> None:
        self._number = number
        self._client = client
        self._backend = backend
        self._copier = copier
        self._faults = faults
        self._names = names
        self._count = 0
        self._out: list[Message] = []
        self._failed = False
        self._skipping = False
        self._failed_copy: int | None = None
        self._statements: dict[str, Statement] = {}
        self._portals: dict[str, Statement] = {}

    def serve(self) -> None:
        """Answer messages until the client leaves or is cut off."""
        steps: dict[bytes, Callable[[Message], None]] = {
            b"Q": self._query, b"P": self._parse, b"B": self._bind, b"D": self._describe,
            b"E": self._execute, b"C": self._close, b"S": self._sync,
        }  # fmt: skip
        with contextlib.suppress(_CutError, EOFError, OSError):
            while (message := self._client.read()).kind != b"X":
                if message.kind == b"H" or (self._skipping and message.kind != b"S"):
                    continue
                self._settle()
                steps[message.kind](message)
                self._flush()

    def _query(self, message: Message) -> None:
        """Run the statements of a simple query, several of them as one transaction."""
        try:
            statements = translate(message.body[:-1].decode(), self._names)
            with self._together(len(statements) > 1 and self._backend.status == "I"):
                for statement in statements:
                    self._run(statement, wire.query(statement.sql))
        except RedshiftError as failure:
            self._fail(failure)
        else:
            if not statements:
                self._out.append(Message(b"I", b""))
        self._out.append(wire.ready(self._backend.status))

    @contextlib.contextmanager
    def _together(self, several: bool) -> Iterator[None]:
        if not several:
            yield
            return
        self._backend.run("BEGIN")
        try:
            yield
        except RedshiftError:
            if self._backend.status != "I":
                self._backend.run("ROLLBACK")
            raise
        if self._backend.status != "I":
            self._backend.run("COMMIT")

    def _parse(self, message: Message) -> None:
        name, sql, types = wire.parse_parse(message.body)
        try:
            statements = translate(sql, self._names)
            if len(statements) > 1:
                raise RedshiftError("cannot insert multiple commands into a prepared statement", "42601")
        except RedshiftError as failure:
            self._skipping = True
            self._fail(failure)
            return
        statement = statements[0] if statements else Statement("", "")
        self._statements[name] = statement
        if statement.own:
            self._out.append(Message(b"1", b""))
        else:
            self._relay(Message(b"P", wire.text(name) + wire.text(statement.sql) + types))

    def _bind(self, message: Message) -> None:
        portal, name = wire.parse_bind(message.body)
        statement = self._statements.get(name, Statement("", ""))
        self._portals[portal] = statement
        if statement.own:
            self._out.append(Message(b"2", b""))
        else:
            self._relay(message)

    def _describe(self, message: Message) -> None:
        of_statement = message.body[:1] == b"S"
        name = message.body[1:-1].decode()
        statement = (self._statements if of_statement else self._portals).get(name)
        if statement is None or not statement.own:
            self._relay(message)
            return
        if of_statement:
            self._out.append(Message(b"t", b"\0\0"))
        self._out.append(Message(b"n", b""))

    def _execute(self, message: Message) -> None:
        portal = message.body[: message.body.index(b"\0")].decode()
        try:
            self._run(self._portals.get(portal, Statement("", "")), message)
        except RedshiftError as failure:
            self._skipping = True
            self._fail(failure)

    def _close(self, message: Message) -> None:
        known = self._statements if message.body[:1] == b"S" else self._portals
        statement = known.pop(message.body[1:-1].decode(), None)
        if statement is not None and statement.own:
            self._out.append(Message(b"3", b""))
        else:
            self._relay(message)

    def _sync(self, message: Message) -> None:
        self._skipping = False
        self._relay(message)
        self._out.append(wire.ready(self._backend.status))

    def _run(self, statement: Statement, message: Message) -> None:
        """Execute a statement, here or on the server, with the cuts that wait for it."""
        self._count += 1
        seen = Seen(self._number, self._count, statement.verb, statement.original)
        self._faults.note(seen)
        if self._faults.due("before", seen):
            raise _CutError
        self._failed = False
        self._check_place(statement)
        if statement.own:
            self._run_own(statement)
        else:
            self._relay(message)
        if self._faults.due("after", seen):
            if message.kind == b"E":
                # outside of a transaction it is committed only here
                self._relay(Message(b"S", b""))
            raise _CutError
        if self._failed:
            raise _AnsweredError("")

    def _check_place(self, statement: Statement) -> None:
        if statement.alone and self._backend.status == "T":
            raise RedshiftError(f"{statement.alone} cannot run inside a transaction block", IN_TRANSACTION)
        if statement.own and self._backend.status == "E":
            raise _ABORTED

    def _run_own(self, statement: Statement) -> None:
        if statement.copy is not None:
            self._copy(statement.copy)
        else:
            self._commit_with(statement)

    def _commit_with(self, statement: Statement) -> None:
        """Run a statement that commits its transaction."""
        tag = self._backend.run(statement.sql).tag
        if self._backend.status == "T":
            self._backend.run("COMMIT")
        self._out.append(Message(b"C", wire.text(tag)))

    def _copy(self, command: CopyCommand) -> None:
        alone = self._backend.status == "I"
        if alone:
            self._backend.run("BEGIN")
        try:
            copy_id, rows = self._copier.run(self._backend, command)
            self._remember(copy_id, rows)
        except RedshiftError as failure:
            if isinstance(failure, LoadFailed):
                self._failed_copy = failure.copy_id
            if alone:
                self._backend.run("ROLLBACK")
            raise
        if alone:
            self._backend.run("COMMIT")
        table = command.table[-1].name
        self._out.append(wire.notice(f"Load into table '{table}' completed, {rows} record(s) loaded successfully."))
        self._out.append(Message(b"C", wire.text("COPY 0")))

    def _remember(self, copy_id: int, rows: int) -> None:
        values = f"set_config('redshift.copy_id', {literal(str(copy_id))}, false)"
        self._backend.run(f"SELECT {values}, set_config('redshift.copy_count', {literal(str(rows))}, false)")

    def _settle(self) -> None:
        """Set the id of a load that failed, once its transaction is over: a rollback would revert it."""
        if self._failed_copy is not None and self._backend.status == "I":
            self._remember(self._failed_copy, 0)
            self._failed_copy = None

    def _fail(self, failure: RedshiftError) -> None:
        """Answer with an error, and let the server's transaction fail with it."""
        if isinstance(failure, _AnsweredError):
            return
        self._out.append(wire.error(failure))
        if self._backend.status == "T":
            with contextlib.suppress(RedshiftError):
                self._backend.run("SELECT 1 / 0")

    def _relay(self, message: Message) -> None:
        self._failed = False
        self._backend.relay(message, _ENDS[message.kind], self._pass)
        # after an error the server, too, waits for the client's Sync
        self._skipping = self._failed and message.kind not in (b"Q", b"S")

    def _pass(self, message: Message) -> None:
        if message.kind == b"T":
            message = Message(b"T", wire.as_redshift_describes(message.body, self._names.originals))
        elif message.kind == b"E":
            self._failed = True
            message = as_redshift_fails(message, self._names)
        self._out.append(message)

    def _flush(self) -> None:
        messages, self._out = self._out, []
        self._client.write(*messages)


class _AnsweredError(RedshiftError):
    """A statement failed on the server, and the client has its error already."""
