"""Where a reader is in a shard, as the text that a runner keeps."""

from __future__ import annotations

from typing import Final, NamedTuple

from beam_s3box.errors import ConfigurationError

END: Final = "end"
"""The position behind the last record of a shard that was split or merged."""

_AT: Final = "@"
_KNOWN: Final = "~"


class Position(NamedTuple):
    """A place in a shard.

    Attributes:
      sequence: number of the last record that was read; empty if none was.
      since: time from which on records are read if none was, in milliseconds since 1970; None for the oldest there is.
      known: time up to which all that came was read, in milliseconds since 1970; 0 if nothing was.
    """

    sequence: str = ""
    since: int | None = None
    known: int = 0

    @property
    def text(self) -> str:
        """The position as text: `SEQUENCE~KNOWN`, `@SINCE~KNOWN` or `~KNOWN`."""
        since = "" if self.since is None else f"{_AT}{self.since}"
        return f"{self.sequence or since}{_KNOWN}{self.known}"


def parse(text: str) -> Position:
    """Return the position that a text stands for; a sequence number alone is one, too, and nothing the oldest record.

    Raises:
      ConfigurationError: it is none.
    """
    where, _, known = text.partition(_KNOWN)
    try:
        if where.startswith(_AT):
            return Position("", int(where[1:]), int(known or 0))
        return Position(str(int(where)) if where else "", None, int(known or 0))
    except ValueError:
        raise ConfigurationError(f"start: {text!r} is no position in a shard: write a sequence number") from None
