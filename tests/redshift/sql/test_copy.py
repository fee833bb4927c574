"""COPY statements, character by character, and invalid arguments."""

from __future__ import annotations

from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import JSON_LINES, AvroFormat
from beam_s3box.redshift import CopyOptions, copy_sql
from beam_s3box.redshift.sql.copy_options import FORBIDDEN, MAX_MAXERROR
from beam_s3box.stores import Credentials

URL = "s3://lake/landing/manifests/r1/web/page/0-00000-of-00001.manifest"
ROLE = "arn:aws:iam::123456789012:role/loader"


def copy(**changes: Any) -> str:
    arguments: dict[str, Any] = {"columns": ["id", "user"], "iam_role": ROLE, **changes}
    return copy_sql(arguments.pop("manifest_url", URL), arguments.pop("table", "web.page"), **arguments)


def test_the_statement_of_everyday() -> None:
    assert (
        copy()
        == f"""\
COPY "web"."page" ("id", "user")
FROM '{URL}'
IAM_ROLE '{ROLE}'
MANIFEST
FORMAT AS JSON 'auto' GZIP
TIMEFORMAT 'auto'
DATEFORMAT 'auto'
COMPUPDATE OFF
STATUPDATE OFF"""
    )


def test_the_statement_with_everything() -> None:
    statement = copy(
        table=("web", "it's.new"),
        region="us-gov-west-1",
        mapping="auto ignorecase",
        timeformat="epochmillisecs",
        dateformat="DD'MM\\YYYY",
        truncatecolumns=True,
        blanksasnull=True,
        emptyasnull=True,
        trimblanks=True,
        roundec=True,
        noload=True,
        acceptinvchars="'",
        maxerror=10,
        compupdate="preset",
        statupdate=True,
    )
    assert (
        statement
        == f"""\
COPY "web"."it's.new" ("id", "user")
FROM '{URL}'
IAM_ROLE '{ROLE}'
REGION 'us-gov-west-1'
MANIFEST
FORMAT AS JSON 'auto ignorecase' GZIP
TIMEFORMAT 'epochmillisecs'
DATEFORMAT 'DD''MM\\\\YYYY'
TRUNCATECOLUMNS
BLANKSASNULL
EMPTYASNULL
TRIMBLANKS
ROUNDEC
NOLOAD
ACCEPTINVCHARS ''''
MAXERROR 10
COMPUPDATE PRESET
STATUPDATE ON"""
    )


def test_what_is_left_to_redshift_is_not_said() -> None:
    statement = copy(timeformat=None, dateformat=None, compupdate=None, statupdate=None, acceptinvchars=True)
    assert statement.splitlines()[3:] == ["MANIFEST", "FORMAT AS JSON 'auto' GZIP", "ACCEPTINVCHARS"]


@pytest.mark.parametrize(
    ("format", "mapping", "clause"),
    [
        (JSON_LINES, "s3://lake/paths/page.json", "FORMAT AS JSON 's3://lake/paths/page.json' GZIP"),
        (JSON_LINES, "s3://lake/it's", "FORMAT AS JSON 's3://lake/it''s' GZIP"),
        (JSON_LINES, "s3://lake/p/{1}\\1", "FORMAT AS JSON 's3://lake/p/{1}\\\\1' GZIP"),
        ("avro", "auto", "FORMAT AS AVRO 'auto'"),
        ("avro", "auto ignorecase", "FORMAT AS AVRO 'auto ignorecase'"),
        ("avro", "s3://lake/paths", "FORMAT AS AVRO 's3://lake/paths'"),
    ],
)
def test_mappings(format: Any, mapping: str, clause: str) -> None:
    assert copy(format=format, mapping=mapping).splitlines()[4] == clause


def test_noshred_fills_one_column() -> None:
    assert "FORMAT AS JSON 'noshred' GZIP" in copy(columns=["record"], mapping="noshred")
    with pytest.raises(ConfigurationError, match=r"noshred.*exactly one column, of type SUPER; columns names 2"):
        copy(mapping="noshred")
    with pytest.raises(ConfigurationError, match="mapping='noshred' is not for format='avro'"):
        copy(columns=["record"], mapping="noshred", format="avro")


@pytest.mark.parametrize(
    ("iam_role", "clause"),
    [
        ("default", "IAM_ROLE default"),
        (f"{ROLE},arn:aws:iam::210987654321:role/a/b/other", None),
        ([ROLE, "arn:aws-us-gov:iam::210987654321:role/x+=@-_."], None),
    ],
)
def test_roles(iam_role: str | list[str], clause: str | None) -> None:
    wanted = clause or f"IAM_ROLE '{iam_role if isinstance(iam_role, str) else ','.join(iam_role)}'"
    assert copy(iam_role=iam_role).splitlines()[2] == wanted


@pytest.mark.parametrize(
    "iam_role",
    ["", [], "loader", "DEFAULT", f"{ROLE},default", f"{ROLE}, {ROLE}", f"{ROLE}'", f"{ROLE}\n", [ROLE, ""],
     "arn:aws:iam::12345:role/x", "arn:aws:iam::123456789012:user/x", [f"{ROLE},{ROLE}"], [None]],
)  # fmt: skip
def test_what_is_no_role_is_refused(iam_role: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"iam_role=.* must be 'default' or ARNs"):
        copy(iam_role=iam_role)


def test_keys_only_without_a_role() -> None:
    keys = Credentials("AKIAEXAMPLE", "se'cr\\et", "token")
    assert copy(iam_role=None, credentials=keys).splitlines()[2:5] == [
        "ACCESS_KEY_ID 'AKIAEXAMPLE'",
        "SECRET_ACCESS_KEY 'se''cr\\\\et'",
        "SESSION_TOKEN 'token'",
    ]
    assert "SESSION_TOKEN" not in copy(iam_role=None, credentials=Credentials("a", "b"))
    with pytest.raises(ConfigurationError, match="mutually exclusive"):
        copy(credentials=keys)
    with pytest.raises(ConfigurationError, match="iam_role= is missing"):
        copy(iam_role=None)
    with pytest.raises(ConfigurationError, match="must be Credentials") as caught:
        copy(iam_role=None, credentials="AKIA:secret")
    assert "AKIA" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "lake/x.manifest", "s3://lake", "s3://lake/", "s3://lake/manifests/", "memory://m/x.manifest", "s3:///x",
     "file:///data/x.manifest", "s3://lake/a\nb", "s3://lake/a\0", b"s3://lake/x", None],
)  # fmt: skip
def test_what_is_no_manifest_on_s3_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="manifest_url="):
        copy(manifest_url=url)


@pytest.mark.parametrize("region", ["", "EU-central-1", "eu-central", "eucentral1", "eu-central-1'", 1])
def test_what_is_no_region_is_refused(region: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"region=.* must be an AWS region"):
        copy(region=region)


@pytest.mark.parametrize("columns", [[], "id", None])
def test_columns_must_be_named(columns: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"columns=.* must name the columns"):
        copy(columns=columns)


def test_a_column_stands_once_in_any_case() -> None:
    with pytest.raises(ConfigurationError, match="'Id' and 'iD', which are one column"):
        copy(columns=["Id", "x", "iD"])


def test_a_format_that_copy_cannot_load_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="format='json-array' can't be loaded"):
        copy(format="json-array")
    with pytest.raises(ConfigurationError, match="format='avro' can't be loaded by COPY"):
        copy(format=AvroFormat(for_redshift=False))


@pytest.mark.parametrize("name", [*FORBIDDEN, "CSV", "NULL AS", "FILLRECORD"])
def test_options_that_json_forbids_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}=True is for text files: COPY rejects it"):
        copy(**{name: True})


def test_what_json_forbids_is_all_there() -> None:
    documented = "CSV DELIMITER ESCAPE FILLRECORD FIXEDWIDTH IGNOREBLANKLINES NULL_AS READRATIO REMOVEQUOTES"
    assert set(documented.lower().split()) <= set(FORBIDDEN)


def test_an_unknown_option_is_named_with_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="truncate_columns= is not an option here: did you mean truncatecol"):
        copy(truncate_columns=True)
    with pytest.raises(ConfigurationError, match="xyzzy= is not an option here: known are mapping, timeformat"):
        copy(xyzzy=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("maxerror", -1), ("maxerror", MAX_MAXERROR + 1), ("maxerror", True), ("maxerror", "3"), ("maxerror", 1.0),
     ("truncatecolumns", 1), ("truncatecolumns", "yes"), ("noload", None), ("roundec", 0),
     ("acceptinvchars", ""), ("acceptinvchars", "ab"), ("acceptinvchars", "é"), ("acceptinvchars", "\0"),
     ("acceptinvchars", 1), ("compupdate", "on"), ("compupdate", 1), ("statupdate", "preset"), ("statupdate", 0),
     ("timeformat", ""), ("timeformat", 5), ("timeformat", "EPOCHSECS"), ("timeformat", "Auto"),
     ("dateformat", "epochsecs"), ("dateformat", "AUTO"), ("mapping", "AUTO"), ("mapping", "auto "),
     ("mapping", "s3://lake"), ("mapping", "s3://lake/folder/"), ("mapping", None), ("mapping", "ignorecase")],
)  # fmt: skip
def test_a_value_that_cannot_work_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        copy(**{name: value})


@pytest.mark.parametrize("maxerror", [0, MAX_MAXERROR])
def test_the_bounds_of_maxerror(maxerror: int) -> None:
    assert f"MAXERROR {maxerror}" in copy(maxerror=maxerror).splitlines()
    assert MAX_MAXERROR == 100_000


def test_options_can_be_checked_before_there_is_a_manifest() -> None:
    assert CopyOptions.of({"maxerror": 1}) == CopyOptions(maxerror=1)
    with pytest.raises(ConfigurationError, match="delimiter"):
        CopyOptions.of({"delimiter": ","})
