"""A COPY of SQLAlchemy's dialect for Redshift means the same as ours."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy_redshift import dialect  # type: ignore[import-untyped]
from sqlalchemy_redshift.commands import Compression, CopyCommand, Format  # type: ignore[import-untyped]

from beam_s3box.redshift import copy_sql
from beam_s3box.stores import Credentials
from tests.redshift.sql.tokens import Token, tokens

URL = "s3://lake/it's/x.manifest"
ROLES = ["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"]
TABLE = sa.Table("order", sa.MetaData(), sa.Column("id"), sa.Column("user"), sa.Column("Odd one"), schema="web")
TAKES_VALUE = {
    "REGION", "JSON", "AVRO", "TIMEFORMAT", "DATEFORMAT", "MAXERROR", "ACCEPTINVCHARS", "COMPUPDATE", "STATUPDATE",
    "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "IAM_ROLE", "CREDENTIALS",
}  # fmt: skip


def meaning(statement: str) -> dict[str, Any]:
    """Return the meaning of a COPY, without optional words and the order of its options."""
    found = tokens(statement)
    start = found.index(Token("word", "FROM"))
    names = [token.text for token in found[1:start] if token.kind in ("name", "word")]
    said: dict[str, Any] = {"names": names, "from": found[start + 1]}
    rest = [token for token in found[start + 2 :] if token.text not in ("AS", "WITH", "FORMAT")]
    while rest:
        word = rest.pop(0)
        assert word.kind == "word"
        assert word.text not in said
        said[word.text] = rest.pop(0).text if word.text in TAKES_VALUE else True
    return said | access(said)


def access(said: dict[str, Any]) -> dict[str, Any]:
    """Return the authorization, parsed from the single text that SQLAlchemy writes."""
    words = {"aws_iam_role": "IAM_ROLE", "aws_access_key_id": "ACCESS_KEY_ID", "token": "SESSION_TOKEN"}
    pairs = (part.partition("=")[::2] for part in said.pop("CREDENTIALS", "").split(";") if part)
    return {words.get(name, name.removeprefix("aws_").upper()): value for name, value in pairs}


def theirs(**options: Any) -> str:
    columns = [TABLE.c["id"], TABLE.c["user"], TABLE.c["Odd one"]]
    command = CopyCommand(columns, URL, manifest=True, compression=Compression.gzip, format=Format.json, **options)
    compiled = command.compile(dialect=dialect.RedshiftDialect_psycopg2(), compile_kwargs={"literal_binds": True})
    return str(compiled)


def ours(**options: Any) -> str:
    return copy_sql(URL, "web.order", columns=["id", "user", "Odd one"], **options)


EVERYDAY = {"time_format": "auto", "date_format": "auto", "comp_update": False, "stat_update": False}


@pytest.mark.parametrize(
    ("our_options", "their_options"),
    [
        ({}, {}),
        ({"region": "eu-central-1", "mapping": "auto ignorecase"}, {"region": "eu-central-1", "path_file": "auto ignorecase"}),
        ({"mapping": "s3://lake/it's"}, {"path_file": "s3://lake/it's"}),
        ({"truncatecolumns": True, "maxerror": 7}, {"truncate_columns": True, "max_error": 7}),
        ({"acceptinvchars": "'", "noload": True}, {"accept_inv_chars": "'", "no_load": True}),
        ({"compupdate": True, "statupdate": True}, {"comp_update": True, "stat_update": True}),
        ({"compupdate": None, "statupdate": None}, {"comp_update": None, "stat_update": None}),
        ({"timeformat": "epochsecs", "dateformat": None}, {"time_format": "epochsecs", "date_format": None}),
        ({"blanksasnull": True, "emptyasnull": True}, {"blanks_as_null": True, "empty_as_null": True}),
        ({"trimblanks": True, "roundec": True}, {"trim_blanks": True, "roundec": True}),
    ],
)  # fmt: skip
def test_options_mean_the_same(our_options: dict[str, Any], their_options: dict[str, Any]) -> None:
    assert meaning(ours(iam_role=ROLES[0], **our_options)) == meaning(
        theirs(iam_role_arns=ROLES[0], **(EVERYDAY | their_options))
    )


def test_chained_roles_mean_the_same() -> None:
    assert meaning(ours(iam_role=ROLES)) == meaning(theirs(iam_role_arns=ROLES, **EVERYDAY))


@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_keys_mean_the_same(token: str | None) -> None:
    key, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    assert meaning(ours(credentials=Credentials(key, secret, token))) == meaning(
        theirs(access_key_id=key, secret_access_key=secret, session_token=token, **EVERYDAY)
    )


def test_a_difference_is_seen() -> None:
    assert meaning(ours(iam_role=ROLES[0])) != meaning(theirs(iam_role_arns=ROLES[1], **EVERYDAY))
    assert meaning(ours(iam_role=ROLES[0])) != meaning(theirs(iam_role_arns=ROLES[0]))
