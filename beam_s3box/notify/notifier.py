"""The target of a notification as a command line names it, `sns:ARN`, `sqs:URL` or `https:URL`, and the sender."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from typing import Final

from beam_s3box.engine.commit import Commit
from beam_s3box.errors import ConfigurationError, NotifyError

_ARN: Final = re.compile(r"arn:[a-z-]+:sns:(?P<region>[a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_RULE: Final = "must be sns:ARN of a topic, sqs:URL of a queue, or an https: URL"


@dataclasses.dataclass(frozen=True)
class Notifier:
    """Sends each commit as JSON, at least once: a function for `on_commit`, which pickles without any client.

    `${NAME}` in the target is replaced by that variable of the environment where it is sent, so that a secret is in
    no command line, no pipeline and no record.

    Attributes:
      target: `sns:ARN`, `sqs:URL` or `https:URL`.

    Raises:
      ConfigurationError: the target is none of these.
    """

    target: str = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        kind, _, rest = self.target.partition(":")
        if kind == "sns" and not (_VARIABLE.search(rest) or _ARN.fullmatch(rest)):
            raise self._refusal(f"{_RULE}; an ARN is arn:aws:sns:REGION:ACCOUNT:TOPIC")
        if kind == "sqs":
            self._check_url(rest)
        elif kind in ("https", "http"):
            self._check_url(self.target)
        elif kind != "sns":
            raise self._refusal(_RULE)

    def __str__(self) -> str:
        """Return the target without what may be secret: of a web address all but the host."""
        kind, _, rest = self.target.partition(":")
        if kind == "sns":
            return self.target
        parts = urllib.parse.urlsplit(rest if kind == "sqs" else self.target)
        host = parts.netloc.rpartition("@")[2]
        return f"sqs:{parts.scheme}://{host}{parts.path}" if kind == "sqs" else f"{parts.scheme}://{host}/…"

    def __call__(self, commit: Commit) -> None:
        """Send the commit.

        Raises:
          NotifyError: it was not taken, after several attempts; no secret is in the message.
        """
        kind, _, rest = _expanded(self.target, str(self)).partition(":")
        if kind in ("sns", "sqs"):
            from beam_s3box.notify.aws import send_to_queue, send_to_topic

            (send_to_topic if kind == "sns" else send_to_queue)(rest, commit, str(self))
        else:
            from beam_s3box.notify.web import post

            post(f"{kind}:{rest}", commit, str(self))

    def _check_url(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise self._refusal(f"{_RULE}, with a host")
        if parts.username or parts.password:
            raise self._refusal(
                "must not have a user or password: others see a command line, and a pipeline is stored with it; use "
                "${NAME}, which is replaced by that variable of the environment where it is sent"
            )
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise self._refusal("must be https: only this machine is spoken to without TLS")

    def _refusal(self, rule: str) -> ConfigurationError:
        return ConfigurationError(f"notify={_shown(self.target)!r} {rule}")


def _shown(target: str) -> str:
    """Return the beginning of a target that is none: what follows may be secret."""
    host = re.match(r"(?:sqs:)?[a-z]+://(?:[^/@\s]*@)?[^/?\s]*", target)
    return f"{host[0].rpartition('@')[2] if '@' in host[0] else host[0]}…" if host else f"{target.partition(':')[0]}:…"


def _expanded(target: str, shown: str) -> str:
    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise NotifyError(f"{shown} was not notified: the environment has no variable {match[1]}")
        return value

    return _VARIABLE.sub(value_of, target)
