"""Redshift's messages for the server's errors, where they differ."""

from __future__ import annotations

import re

from redshift_stand_in import wire
from redshift_stand_in.errors import RedshiftError
from redshift_stand_in.names import LongNames
from redshift_stand_in.wire import Message

_NAMED = re.compile(r'column "(.*)"')
_BYTES = re.compile(r"redshift_bytes_\d+_(\d+)")


def as_redshift_fails(message: Message, names: LongNames) -> Message:
    """Return an ErrorResponse with Redshift's message."""
    fields = wire.fields_of(message.body)
    text, state = names.restore(fields.get("M", "")), fields.get("C", "")
    too_long = _BYTES.search(fields.get("n", ""))
    if too_long is not None:
        return wire.error(RedshiftError(f"value too long for type character varying({too_long.group(1)})", "22001"))
    if state == "21000" and text.startswith("MERGE"):
        return wire.error(RedshiftError("Found multiple matches to update the same tuple.", "XX000"))
    if state == "40001":
        detail = "  error:  Serializable isolation violation on table\n  code:      1023\n"
        return wire.error(RedshiftError("1023", "XX000", detail))
    if state == "23502":
        return wire.error(
            RedshiftError(f"Cannot insert a NULL value into column {names.restore(fields.get('c', ''))}", state)
        )
    if state == "428C9":
        column = _NAMED.search(text)
        return wire.error(
            RedshiftError(f'cannot set an identity column "{column[1] if column else ""}" to a value', "42601")
        )
    return wire.error(RedshiftError(text, state, names.restore(fields.get("D", ""))))
