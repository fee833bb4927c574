"""Names of up to 127 bytes for a server with a limit of 63."""

from __future__ import annotations

import hashlib

SERVER_BYTES = 63
"""Bytes of a name that the real server keeps."""

_DIGEST = 12


class LongNames:
    """Short names for long ones, the same for the same name.

    Attributes:
      originals: the long name of each short one.
    """

    def __init__(self) -> None:
        self.originals: dict[str, str] = {}

    def short(self, name: str) -> str:
        """Return a name for the server."""
        encoded = name.encode()
        if len(encoded) <= SERVER_BYTES:
            return name
        head = encoded[: SERVER_BYTES - _DIGEST - 1].decode(errors="ignore")
        short = f"{head}~{hashlib.sha256(encoded).hexdigest()[:_DIGEST]}"
        self.originals[short] = name
        return short

    def restore(self, text: str) -> str:
        """Return a message with the long names instead of the short ones."""
        for short, name in self.originals.items():
            text = text.replace(short, name)
        return text
