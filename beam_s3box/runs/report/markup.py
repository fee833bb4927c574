"""HTML and SVG from parts: texts are escaped where they are put in, so that no name of others is ever markup."""

from __future__ import annotations

import html
from typing import TypeAlias

from beam_s3box.system.printable import printable


class Markup(str):
    """HTML that is safe, because it was made here."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | None"


def text(value: str) -> Markup:
    """Return a text as HTML that shows it; control characters and marks of direction are shown as escapes."""
    return value if isinstance(value, Markup) else Markup(html.escape(printable(value)))


def element(name: str, *children: Child, **attributes: str | float | None) -> Markup:
    """Return an element.

    Args:
      name: of the element.
      children: elements and texts; None is left out.
      attributes: by name, with `_` for `-` and without one at the end; None is left out.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{shown}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Return elements and texts one behind the other."""
    return Markup("".join(text(child) for child in children if child is not None))


def _value(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return text(str(value))
