"""The role or the keys that read S3 for a COPY, and secrets that are never shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from beam_s3box.checks import check_names
from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.quoting import literal
from beam_s3box.stores.s3_settings import Credentials

MASK: Final = "(masked)"
"""The text that replaces a secret."""

_DEFAULT_ROLE = "default"
_ROLE = re.compile(r"arn:aws(-[a-z]+)*:iam::\d{12}:role/([\x21-\x2b\x2d-\x7e]+/)?[\w+=.@-]{1,64}", re.ASCII)
_WORDS = r"\b(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|CREDENTIALS)\s+(?:AS\s+)?"
# also without the closing quote, as servers truncate statements; and never beyond the next key: a name or an apostrophe
# before it can look like the begin of a text, while keys have no white space
_KEY = re.compile(rf"({_WORDS})'(?:(?!{_WORDS}')(?:[^'\\]|''|\\.?))*+'?", re.IGNORECASE | re.DOTALL)


class Secret:
    """A text that is never shown and never pickled: a password, or an address that contains one.

    `str`, `repr` and every format of it return a mask; only `reveal()` returns the text. Pickling it fails, because
    pickled pipelines are kept in the runner's files: workers find their secrets themselves.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or not text:
            raise ConfigurationError("a secret must be a text, and not empty")
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret{MASK}"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "a secret can't be pickled with a pipeline: give the name of a secret in AWS Secrets Manager, an IAM "
            "connection, or a function that finds the secret on the worker"
        )


def check_access(
    iam_role: str | Sequence[str] | None, credentials: Credentials | Callable[[], Credentials] | None
) -> None:
    """Check who reads S3.

    Raises:
      ConfigurationError: neither or both are given, or an invalid role. No key is shown.
    """
    if iam_role is not None and credentials is not None:
        raise ConfigurationError("iam_role= and credentials= are mutually exclusive: leave the credentials out")
    if iam_role is not None:
        _roles(iam_role)
    elif credentials is None:
        raise ConfigurationError(
            "iam_role= is missing: give the ARN of a role that may read the bucket, 'default' for the cluster's own "
            "role, or credentials"
        )
    elif not isinstance(credentials, Credentials) and not callable(credentials):
        raise ConfigurationError("credentials= must be Credentials(access_key, secret_key, token)")


def access_clause(iam_role: str | Sequence[str] | None, credentials: Credentials | None) -> str:
    """Return the part of a COPY that says who reads S3; the arguments have passed `check_access`."""
    if credentials is None:
        return f"IAM_ROLE {_roles(iam_role)}"
    keys = [("ACCESS_KEY_ID", credentials.access_key), ("SECRET_ACCESS_KEY", credentials.secret_key)]
    if credentials.token is not None:
        keys.append(("SESSION_TOKEN", credentials.token))
    return "\n".join(f"{keyword} {literal(value, 'credentials')}" for keyword, value in keys)


def mask_sql(text: str) -> str:
    """Return a statement, or a server's message about one, with all keys masked: for errors and dry runs.

    A name or a value that looks like a key is masked too: rather too much than too little.
    """
    return _KEY.sub(rf"\1'{MASK}'", text)


def _roles(iam_role: str | Sequence[str] | None) -> str:
    if iam_role == _DEFAULT_ROLE:
        return _DEFAULT_ROLE
    roles = iam_role.split(",") if isinstance(iam_role, str) else check_names("iam_role", iam_role or (), "'default'")
    for role in roles or [""]:
        if not isinstance(role, str) or not _ROLE.fullmatch(role):
            raise ConfigurationError(
                f"iam_role={iam_role!r} must be 'default' or ARNs such as arn:aws:iam::123456789012:role/name, several "
                f"separated by commas without spaces; check {role!r}"
            )
    return literal(",".join(roles))
