"""The clause that allows COPY to read S3: roles, or keys."""

from __future__ import annotations

import dataclasses
import re

from redshift_stand_in.errors import SYNTAX, RedshiftError
from redshift_stand_in.tokens import Reader

_ROLE = re.compile(r"arn:aws(-[a-z]+)*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_MAX_CHAIN = 10
_FORMAT = (
    "Invalid credentials. Must be of the format: credentials 'aws_iam_role=...' or "
    "'aws_access_key_id=...;aws_secret_access_key=...[;token=...]'"
)


@dataclasses.dataclass(frozen=True)
class Keys:
    """An access key."""

    access_key: str
    secret_key: str = dataclasses.field(repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class Authorization:
    """How COPY may read S3.

    Attributes:
      roles: ARNs, the last one assumed by the one before; `default` for the cluster's default role.
      keys: an access key instead.
    """

    roles: tuple[str, ...] = ()
    keys: Keys | None = None


def read_authorization(reader: Reader) -> Authorization | None:
    """Read the clause if it comes next, else return None; dg:copy-parameters-authorization."""
    if reader.accept("IAM_ROLE"):
        token = reader.peek
        if token is not None and token.word == "DEFAULT":
            reader.take()
            return Authorization(("default",))
        return Authorization(_roles(reader.string()))
    if reader.accept("WITH", "CREDENTIALS") or reader.accept("CREDENTIALS"):
        reader.accept("AS")
        return _credentials(reader.string())
    if reader.accept("ACCESS_KEY_ID"):
        access_key = reader.string()
        reader.expect("SECRET_ACCESS_KEY")
        secret_key = reader.string()
        token_text = reader.string() if reader.accept("SESSION_TOKEN") else None
        return Authorization(keys=_keys(access_key, secret_key, token_text))
    return None


def _roles(text: str) -> tuple[str, ...]:
    # a role's name may contain a comma, so a chain is split where the next ARN begins
    roles = tuple(re.split(r",(?=arn:)", text))
    for role in roles:
        if _ROLE.fullmatch(role) is None:
            raise RedshiftError(f"Invalid IAM role ARN: {role!r}", SYNTAX)
    if len(roles) > _MAX_CHAIN:
        raise RedshiftError(f"at most {_MAX_CHAIN} roles can be chained, not {len(roles)}", SYNTAX)
    return roles


def _credentials(text: str) -> Authorization:
    pairs = dict(part.partition("=")[::2] for part in text.split(";"))
    if set(pairs) == {"aws_iam_role"}:
        return Authorization(_roles(pairs["aws_iam_role"]))
    if set(pairs) | {"token"} != {"aws_access_key_id", "aws_secret_access_key", "token"}:
        raise RedshiftError(_FORMAT, SYNTAX)
    return Authorization(keys=_keys(pairs["aws_access_key_id"], pairs["aws_secret_access_key"], pairs.get("token")))


def _keys(access_key: str, secret_key: str, token: str | None) -> Keys:
    if not access_key or not secret_key or token == "":
        raise RedshiftError(_FORMAT, SYNTAX)
    return Keys(access_key, secret_key, token)
