"""The errors of servers and drivers: whether another attempt may help, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from beam_s3box.errors import LoadError, TransientLoadError
from beam_s3box.redshift.sql.credentials import MASK, mask_sql

UNDEFINED_TABLE: Final = "42P01"
"""SQLSTATE of a statement that names a table which does not exist."""

_MAX_CHARACTERS = 600
_PASSWORD = re.compile(r"(?i)(?P<key>\b(?:password|pwd)\s*=\s*)(?:'[^']*'|\S+)|(?P<user>://[^:/@\s]*:)\S+@")


class Failure(NamedTuple):
    """An error without secrets.

    Attributes:
      text: the server's or driver's message, on one line.
      sqlstate: the server's code; "" if there was no response, because the server could not be reached or hung up.
    """

    text: str
    sqlstate: str = ""

    @property
    def is_missing_table(self) -> bool:
        """Whether a table that the statement names does not exist."""
        return self.sqlstate == UNDEFINED_TABLE or bool(_MISSING_TABLE.search(self.text))

    @property
    def is_transient(self) -> bool:
        """Whether the whole transaction may succeed if it is repeated."""
        if self.sqlstate.startswith(_TRANSIENT_CLASSES) or self.sqlstate in _TRANSIENT_STATES:
            return True
        return bool(_TRANSIENT_TEXT.search(self.text))

    def error(self, begin: str) -> LoadError:
        """Return the error; its message begins with the action that failed."""
        kind = TransientLoadError if self.is_transient else LoadError
        advice = next((words for pattern, words in _ADVICE if pattern.search(f"{self.sqlstate} {self.text}")), "")
        code = f" [{self.sqlstate}]" if self.sqlstate else ""
        return kind(f"{begin}: {self.text}{code}{f'; {advice}' if advice else ''}")


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a message on one line, truncated to a readable length, with secrets masked.

    Args:
      text: of a server or a driver, which may quote a statement or an address.
      secrets: texts that must not be shown.
    """
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _PASSWORD.sub(lambda found: f"{found['key'] or found['user']}{MASK}{'@' if found['user'] else ''}", text)
    text = " ".join(mask_sql(text).split())
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"


# connection exceptions; transactions in conflict; insufficient resources; shut down
_TRANSIENT_CLASSES = ("08", "40", "53")
_TRANSIENT_STATES = frozenset({"57P01", "57P02", "57P03", "55P03"})
# Redshift's own codes are 1018 and 1023: "Managing concurrent write operations" of its developer guide
_TRANSIENT_TEXT = re.compile(
    r"\b1023\b.*serializable isolation|serializable isolation violation|\b1018\b.*relation does not exist"
    r"|deadlock detected|S3ServiceException.*(SlowDown|InternalError|ServiceUnavailable|Status 50[03])"
    r"|ended as ABORTED, without a reason|due to lock timeout"
    r"|restarting the (cluster|server)|too many connections|connection [^;]{0,40}\b(lost|closed|reset|terminated)\b",
    re.IGNORECASE | re.DOTALL,
)
_MISSING_TABLE = re.compile(r"relation .*does not exist", re.IGNORECASE)

_ADVICE: Final = (
    (re.compile("^(28000|28P01)"), "correct user and password, or the IAM settings of the connection"),
    (re.compile("^42501|permission denied", re.I), "grant the loader's user what it needs: see the documentation"),
    (
        re.compile("^57014|statement timeout", re.I),
        "raise statement_timeout or the limit of the queue, or load less at once",
    ),
    (
        re.compile("not authorized to assume", re.I),
        "attach the role to the cluster or workgroup, and let its trust policy name Redshift",
    ),
    (
        re.compile(r"S3ServiceException.*(AccessDenied|403)", re.I),
        "the role needs s3:GetObject on data and manifests, and s3:ListBucket on the bucket",
    ),
    (
        re.compile("mandatory url", re.I),
        "a shard that the manifest lists is not in the bucket: was it deleted? Write the data again",
    ),
    (re.compile(r"S3ServiceException.*(PermanentRedirect|301)", re.I), "give the bucket's region= (--s3_region_name)"),
    (re.compile("identity column", re.I), "give columns (--redshift_columns) without the table's identity columns"),
    (
        re.compile("^23502|insert a NULL value", re.I),
        "records have no value for that column: write one, or leave it out of columns (--redshift_columns) so that it "
        "gets its default; without a default it must be nullable",
    ),
)
