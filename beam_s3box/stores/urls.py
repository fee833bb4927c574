"""Parses URLs that may contain a password; no part of a URL is shown if that fails."""

from __future__ import annotations

import urllib.parse
from typing import NamedTuple

_OUTSIDE = ("@", "\\")
"""Characters that follow the host only if a `/`, `?` or `#` of a password was not percent-encoded."""


class UrlParts(NamedTuple):
    """The parts of a URL; user, password and path are percent-decoded.

    Attributes:
      scheme: the scheme, in lower case.
      user: the user; None if there is none, as for the others.
      password: the password; "" if there is a colon with nothing after it.
      host: the host, in lower case.
      port: the port number.
      path: the path, with its leading slash.
      query: name and value of each option, in order.
      fragment: the text after `#`.
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
    """Return the parts of a URL, or None if it is invalid or may contain a password in the wrong place.

    It does not raise: errors of `urllib.parse` quote their input, and an error that is raised while they are handled
    has them in its traceback. Raise an error after this has returned.
    """
    if not isinstance(url, str) or any(character.isspace() or not character.isprintable() for character in url):
        return None  # urlsplit removes line breaks and tabs, also from a password
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
