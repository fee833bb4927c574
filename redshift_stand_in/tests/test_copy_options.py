"""COPY's text: which options are allowed, and which are mutually exclusive."""

from __future__ import annotations

import pytest

from redshift_stand_in.copy_options import CopyCommand, read_copy
from redshift_stand_in.errors import RedshiftError
from redshift_stand_in.tokens import scan

_ROLE = "arn:aws:iam::123456789012:role/path/my-role"
_START = f"COPY s.t (a, \"B\") FROM 's3://b/k' IAM_ROLE '{_ROLE}' "


def read(sql: str) -> CopyCommand:
    return read_copy(scan(sql))


def refused(sql: str) -> str:
    with pytest.raises(RedshiftError) as caught:
        read(sql)
    return caught.value.message


def test_everything_at_once() -> None:
    """dg:r_COPY, dg:copy-parameters-data-load, dg:copy-parameters-data-conversion."""
    command = read(
        _START
        + "MANIFEST GZIP REGION 'eu-west-1' FORMAT AS JSON 'auto ignorecase' TIMEFORMAT 'auto' DATEFORMAT AS 'auto' "
        "TRUNCATECOLUMNS ACCEPTINVCHARS '^' MAXERROR 10 COMPUPDATE OFF STATUPDATE ON NOLOAD ENCODING UTF8 ROUNDEC COMPROWS 5"
    )
    assert [part.name for part in command.table] == ["s", "t"]
    assert (command.columns, command.source) == (["a", "b"], "s3://b/k")
    assert (command.manifest, command.compression, command.region) == (True, "GZIP", "eu-west-1")
    assert (command.format, command.mapping) == ("JSON", "auto ignorecase")
    assert (command.time_format, command.date_format, command.replacement) == ("auto", "auto", "^")
    assert (command.max_errors, command.flags) == (10, frozenset({"TRUNCATECOLUMNS", "NOLOAD", "ROUNDEC"}))
    assert command.authorization.roles == (_ROLE,)


@pytest.mark.parametrize(
    "text", ["FORMAT AS JSON 'auto'", "FORMAT JSON 'auto'", "JSON 'auto'", "JSON AS 'auto'", "FORMAT JSON"]
)
def test_ways_to_say_json(text: str) -> None:
    """dg:copy-parameters-data-format."""
    assert (read(_START + text).format, read(_START + text).mapping) == ("JSON", "auto")


def test_avro_needs_the_word_format() -> None:
    """Found in practice: bare AVRO is a syntax error; dg:copy-parameters-data-format has FORMAT AS AVRO."""
    assert read(_START + "FORMAT AS AVRO 'auto'").format == "AVRO"
    assert refused(_START + "AVRO 'auto'") == 'syntax error at or near "AVRO"'
    assert "not one of auto, auto ignorecase" in refused(_START + "FORMAT AS AVRO 'noshred'")


@pytest.mark.parametrize(
    "option",
    [
        "CSV",
        "DELIMITER ','",
        "ESCAPE",
        "FILLRECORD",
        "FIXEDWIDTH 'a:1'",
        "IGNOREBLANKLINES",
        "NULL AS 'x'",
        "READRATIO 50",
        "REMOVEQUOTES",
    ],
)
def test_options_that_json_forbids(option: str) -> None:
    """dg:copy-parameters-data-format: options that aren't supported with JSON."""
    word = option.split()[0]
    assert (
        refused(_START + f"FORMAT AS JSON 'auto' {option}") == f"{word} argument is not supported for JSON based COPY"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FORMAT AS JSON 'auto' NONSENSE", 'syntax error at or near "NONSENSE"'),
        ("FORMAT AS JSON 'auto', GZIP", 'syntax error at or near ","'),
        ("FORMAT AS JSON 'auto' GZIP GZIP", "conflicting or redundant options"),
        ("FORMAT AS JSON 'auto' GZIP ZSTD", "conflicting or redundant options"),
        ("FORMAT AS JSON 'auto' JSON 'auto'", "conflicting or redundant options"),
        ("FORMAT AS JSON 'AUTO'", "JSON argument 'AUTO' is not one of auto, auto ignorecase, noshred or an S3 object"),
        ("FORMAT AS JSON 'auto' MAXERROR 100001", "MAXERROR must be between 0 and 100000"),
        ("FORMAT AS JSON 'auto' MAXERROR '1'", "syntax error at or near \"'1'\""),
        ("FORMAT AS JSON 'auto' MAXERROR 1 IGNOREALLERRORS", "MAXERROR and IGNOREALLERRORS can't be used together"),
        ("FORMAT AS JSON 'auto' ACCEPTINVCHARS 'ab'", "ACCEPTINVCHARS takes one ASCII character that is not NULL"),
        ("FORMAT AS JSON 'auto' ACCEPTINVCHARS 'ä'", "ACCEPTINVCHARS takes one ASCII character that is not NULL"),
        ("FORMAT AS JSON 'auto' ACCEPTANYDATE", "ACCEPTANYDATE needs DATEFORMAT"),
        ("FORMAT AS JSON 'auto' IAM_ROLE default", "conflicting or redundant options"),
        ("FORMAT AS JSON auto", 'syntax error at or near "auto"'),
        ("FORMAT AS JSON 'auto' REGION", "syntax error at end of input"),
    ],
)
def test_words_that_do_not_fit(text: str, message: str) -> None:
    """dg:r_COPY and the pages of its parameters."""
    assert refused(_START + text) == message


@pytest.mark.parametrize(
    ("clause", "roles"),
    [
        (f"IAM_ROLE '{_ROLE}'", (_ROLE,)),
        (f"IAM_ROLE '{_ROLE},{_ROLE}2'", (_ROLE, _ROLE + "2")),
        ("IAM_ROLE default", ("default",)),
        (f"CREDENTIALS 'aws_iam_role={_ROLE}'", (_ROLE,)),
        ("IAM_ROLE 'arn:aws-cn:iam::123456789012:role/x'", ("arn:aws-cn:iam::123456789012:role/x",)),
    ],
)
def test_roles(clause: str, roles: tuple[str, ...]) -> None:
    """dg:copy-parameters-authorization: a role, a chain of them, or the default role."""
    assert read(f"COPY t FROM 's3://b/k' {clause} JSON 'auto'").authorization.roles == roles


@pytest.mark.parametrize(
    "role",
    ["", "my-role", "arn:aws:iam::12345:role/x", "arn:aws:iam::123456789012:user/x", f"{_ROLE} ", f"{_ROLE}, {_ROLE}"],
)
def test_a_role_is_an_arn(role: str) -> None:
    """dg:copy-parameters-authorization; no spaces in a chain."""
    assert refused(f"COPY t FROM 's3://b/k' IAM_ROLE '{role}' JSON 'auto'").startswith("Invalid IAM role ARN")


@pytest.mark.parametrize(
    "clause",
    [
        "ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 's' SESSION_TOKEN 't'",
        "CREDENTIALS 'aws_access_key_id=a;aws_secret_access_key=s;token=t'",
        "WITH CREDENTIALS AS 'aws_access_key_id=a;aws_secret_access_key=s;token=t'",
    ],
)
def test_keys(clause: str) -> None:
    """dg:copy-parameters-authorization; a secret shows in no repr."""
    authorization = read(f"COPY t FROM 's3://b/k' {clause} JSON 'auto'").authorization
    keys = authorization.keys
    assert keys is not None
    assert (keys.access_key, keys.secret_key, keys.token) == ("a", "s", "t")
    assert repr(keys) == "Keys(access_key='a')"


@pytest.mark.parametrize(
    "clause",
    [
        "",
        "ACCESS_KEY_ID 'a'",
        "ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY ''",
        "CREDENTIALS 'aws_access_key_id=a'",
        "CREDENTIALS 'nonsense'",
    ],
)
def test_copy_needs_an_authorization(clause: str) -> None:
    """dg:copy-parameters-authorization: it is required."""
    assert refused(f"COPY t FROM 's3://b/k' {clause}  JSON 'auto'")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY t FROM STDIN",
        "COPY t TO 's3://b/k'",
        "COPY t FROM 'file'",
        "COPY (SELECT 1) TO STDOUT",
        "COPY t () FROM 's3://b/k'",
    ],
)
def test_copy_is_from_s3(sql: str) -> None:
    """dg:copy-parameters-data-source: no standard input, no local file."""
    assert refused(sql + f" IAM_ROLE '{_ROLE}' JSON 'auto'")
