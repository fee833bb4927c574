"""URLs that may hold a password: taken apart in one place, which shows no part of them when that fails."""

from __future__ import annotations

import urllib.parse
from typing import NamedTuple

_OUTSIDE = ("@", "\\")
"""What stands outside of user and host only where a `/`, `?` or `#` of a password was not percent-encoded."""


class UrlParts(NamedTuple):
    """A URL, taken apart; user, password and path are percent-decoded.

    Attributes:
      scheme: in lower case.
      user: None if there is none, as for the others.
      password: "" if there is a colon and nothing behind it.
      host: in lower case.
      port: a number.
      path: with its first slash.
      query: name and value of each option, in order.
      fragment: what follows `#`.
    """

    scheme: str
    user: str | None
    password: str | None
    host: str | None
    port: int | None
    path: str
    query: tuple[tuple[str, str], ...]
    fragment: str


def split_url(url: object) -> UrlParts | None:
    """Return the parts of a URL, or None for what is not one, or may hold a password in another place than its own.

    It raises nothing: errors of `urllib.parse` quote what they could not read, and an error that is raised while they
    are handled carries them in its traceback. Raise after this has returned.
    """
    if not isinstance(url, str) or any(character.isspace() or not character.isprintable() for character in url):
        return None  # urlsplit drops line breaks and tabs, also out of a password
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
        query = tuple(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return None
    if any(character in rest for character in _OUTSIDE for rest in (parts.path, parts.query, parts.fragment)):
        return None
    user, password = (None if part is None else urllib.parse.unquote(part) for part in (parts.username, parts.password))
    return UrlParts(
        parts.scheme, user, password, parts.hostname, port, urllib.parse.unquote(parts.path), query, parts.fragment
    )
