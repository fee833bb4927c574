"""The error of a statement, and the error of a single row of a load."""

from __future__ import annotations

SYNTAX = "42601"
NOT_SUPPORTED = "0A000"
INTERNAL = "XX000"
"""SQLSTATE of failures below the leader node: most errors of COPY."""
IN_FAILED_TRANSACTION = "25P02"
IN_TRANSACTION = "25001"


class RedshiftError(Exception):
    """A statement that fails.

    Args:
      message: of the server.
      sqlstate: five characters.
      detail: more lines, as Redshift adds them for failures below the leader node.
    """

    def __init__(self, message: str, sqlstate: str = NOT_SUPPORTED, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.detail = detail


def syntax_error(near: str) -> RedshiftError:
    """Return the parser's error for an unexpected word; "" for the end of the statement."""
    where = f'at or near "{near}"' if near else "at end of input"
    return RedshiftError(f"syntax error {where}", SYNTAX)


def s3_error(reason: str, code: int = 8001) -> RedshiftError:
    """Return the error of a load for S3, the manifest or a whole file."""
    detail = f"  error:  {reason}\n  code:      {code}\n  context:   \n"
    return RedshiftError(reason, INTERNAL, detail)


class RowError(Exception):
    """A row that can't be loaded: one line of stl_load_errors, counted against MAXERROR.

    Args:
      code: code in the load error reference.
      reason: text of the code.
      column: name of the column, or "" if the whole row is wrong.
      value: the field as it was in the file.
      position: position in the field.
    """

    def __init__(self, code: int, reason: str, column: str = "", value: str = "", position: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.column = column
        self.value = value
        self.position = position
