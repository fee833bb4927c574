"""What a server or a driver says of a failure: is it worth another attempt, and what is to be done?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from beam_s3box.errors import LoadError, TransientLoadError
from beam_s3box.redshift.sql.credentials import MASK, mask_sql

UNDEFINED_TABLE: Final = "42P01"
"""SQLSTATE of a statement that names a table which is not there."""

_MAX_CHARACTERS = 600
_PASSWORD = re.compile(r"(?i)(?P<key>\b(?:password|pwd)\s*=\s*)(?:'[^']*'|\S+)|(?P<user>://[^:/@\s]*:)\S+@")


class Failure(NamedTuple):
    """What went wrong, without secrets.

    Attributes:
      text: in the server's or driver's words, on one line.
      sqlstate: the server's code; "" if the server said nothing, because it could not be reached or hung up.
    """

    text: str
    sqlstate: str = ""

    @property
    def is_missing_table(self) -> bool:
        """Whether a table that the statement names is not there."""
        return self.sqlstate == UNDEFINED_TABLE or bool(_MISSING_TABLE.search(self.text))

    @property
    def is_transient(self) -> bool:
        """Whether the whole transaction may go well if it is tried again."""
        if self.sqlstate.startswith(_TRANSIENT_CLASSES) or self.sqlstate in _TRANSIENT_STATES:
            return True
        return bool(_TRANSIENT_TEXT.search(self.text))

    def error(self, begin: str) -> LoadError:
        """Return the error; its message begins with what was tried."""
        kind = TransientLoadError if self.is_transient else LoadError
        advice = next((words for pattern, words in _ADVICE if pattern.search(f"{self.sqlstate} {self.text}")), "")
        code = f" [{self.sqlstate}]" if self.sqlstate else ""
        return kind(f"{begin}: {self.text}{code}{f'; {advice}' if advice else ''}")


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text on one line, cut to a length that can be read, with secrets masked.

    Args:
      text: of a server or a driver, which may quote a statement or an address.
      secrets: texts that must not be shown.
    """
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _PASSWORD.sub(lambda found: f"{found['key'] or found['user']}{MASK}{'@' if found['user'] else ''}", text)
    text = " ".join(mask_sql(text).split())
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"


# connection exceptions; transactions in conflict; too many connections, not enough of something; shut down
_TRANSIENT_CLASSES = ("08", "40", "53")
_TRANSIENT_STATES = frozenset({"57P01", "57P02", "57P03", "55P03"})
# 1018 and 1023 are how Redshift says it: "Managing concurrent write operations" of its developer guide
_TRANSIENT_TEXT = re.compile(
    r"\b1023\b.*serializable isolation|serializable isolation violation|\b1018\b.*relation does not exist"
    r"|deadlock detected|S3ServiceException.*(SlowDown|InternalError|ServiceUnavailable|Status 50[03])"
    r"|restarting the (cluster|server)|too many connections|connection [^;]{0,40}\b(lost|closed|reset|terminated)\b",
    re.IGNORECASE | re.DOTALL,
)
_MISSING_TABLE = re.compile(r"relation .*does not exist", re.IGNORECASE)

_ADVICE: Final = (
    (re.compile("^(28000|28P01)"), "correct user and password, or the IAM settings of the connection"),
    (re.compile("^42501|permission denied", re.I), "grant the loader's user what it needs: see the documentation"),
    (
        re.compile("^57014|statement timeout", re.I),
        "raise statement_timeout or the queue's limit, or load less",
    ),
    (
        re.compile("not authorized to assume", re.I),
        "attach the role to the cluster or workgroup, and trust it",
    ),
    (
        re.compile(r"S3ServiceException.*(AccessDenied|403)", re.I),
        "the role needs s3:GetObject on data and manifests, and s3:ListBucket on the bucket",
    ),
    (
        re.compile("mandatory url", re.I),
        "a shard that the manifest lists is not in the bucket: has it been deleted? Write the data again",
    ),
    (re.compile(r"S3ServiceException.*(PermanentRedirect|301)", re.I), "give region= of the bucket"),
    (re.compile("identity column", re.I), "give columns= without the table's identity columns"),
    (
        re.compile("^23502|insert a NULL value", re.I),
        "records have no value for that column: write one, or leave it out of columns= so that its default counts; "
        "without a default it must be nullable",
    ),
)
