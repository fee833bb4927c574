"""What `--notify` means."""

from __future__ import annotations

import argparse
import urllib.parse
from collections.abc import Iterator

from beam_s3box.notify.notifier import Notifier


def notifier_of(given: argparse.Namespace) -> Notifier | None:
    """Return what is called after each commit, None for nothing.

    Raises:
      ConfigurationError: not the target of a notification.
    """
    return None if given.notify is None else Notifier(given.notify)


def notify_secrets(given: argparse.Namespace) -> Iterator[str]:
    """Yield what no message may show: path and query of a web address."""
    kind, _, rest = (given.notify or "").partition(":")
    if kind in ("https", "http"):
        parts = urllib.parse.urlsplit(f"{kind}:{rest}")
        yield from (part for part in (parts.path.strip("/"), parts.query) if part)
