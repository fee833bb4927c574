"""Arguments of a wrong type: each public constructor names the parameter, the type, the rule and the way out."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box import (
    AvroFormat,
    ConfigurationError,
    CopyToRedshift,
    JsonBufferStreamer,
    Manifests,
    RedshiftLoader,
    S3Box,
    S3Settings,
    S3Uploader,
    StreamLimits,
    Tuning,
    WriteToS3Box,
)

ROLE = "arn:aws:iam::123456789012:role/copy"


def write(**arguments: Any) -> None:
    WriteToS3Box("s3://bucket/prefix", domain="d", namespace="n", **arguments)


def box(**arguments: Any) -> None:
    S3Box("s3://bucket/prefix", **arguments)


def uploader(**arguments: Any) -> None:
    S3Uploader("bucket", "prefix", **arguments)


def copy(**arguments: Any) -> None:
    CopyToRedshift(**{"table": "t", "connection": dict, "iam_role": ROLE, **arguments})


def loader(**arguments: Any) -> None:
    RedshiftLoader(**{"connection": dict, "iam_role": ROLE, **arguments})


def limits(**arguments: Any) -> None:
    StreamLimits(**arguments)


S3 = r"s3 .*, and must be an S3Settings: write S3Settings\(region='eu-central-1'\), or None for the defaults"
FORMAT = r"format .*, and must be a format: write 'json-lines', 'json-array', 'avro' or AvroFormat\(schema\)"
RETRY = r"retry .*, and must be a Retry: write Retry\(max_attempts=3\)"
FOLDER = r"files_path .*, and must be a path: write '/var/lib/buffers'"
NAMES = r", and must be text or a list of texts: write "

WRONG: list[tuple[Callable[..., None], str, Any, str]] = [
    (write, "s3", {"sse": "AES256"}, rf"s3 is a dict.*{S3[6:]}"),
    (write, "s3", "AES256", S3),
    (write, "s3", S3Settings, rf"s3 is the class S3Settings{S3[5:]}"),
    (write, "limits", {"max_records": 3}, r"limits\['max_records'\]=3 must be a StreamLimits"),
    (write, "limits", "10MB", r"limits='10MB' must be a StreamLimits, a mapping"),
    (write, "limits", StreamLimits, "limits=.*StreamLimits.* must be a StreamLimits, a mapping"),
    (write, "manifests", {"count": 3}, r"manifests=.* must be a Manifests, None or 'auto'"),
    (write, "manifests", Manifests, r"manifests=.* must be a Manifests, None or 'auto'"),
    (write, "format", {"name": "avro"}, FORMAT),
    (write, "format", None, FORMAT),
    (write, "format", AvroFormat, f"format is the class AvroFormat{FORMAT[9:]}"),
    (write, "tuning", {"packing": "group"}, "tuning=.* must be a Tuning, such as"),
    (write, "tuning", Tuning, "tuning=.* must be a Tuning, such as"),
    (write, "windowing", 60, r"windowing=60 must be a window function such as FixedWindows\(60\), or a WindowInto"),
    (write, "check_destination", "no", "check_destination='no' must be True or False"),
    (box, "s3", {"sse": "AES256"}, S3),
    (box, "s3", 3, S3),
    (box, "format", 3, FORMAT),
    (box, "format", ["json-lines"], FORMAT),
    (uploader, "s3", {"sse": "AES256"}, S3),
    (copy, "connection", {"host": "h", "password": "hidden"}, "connection=dict must be a RedshiftConnection, a Redsh"),
    (copy, "connection", "postgres://u:hidden@h/d", "connection=str must be a RedshiftConnection, a RedshiftDataApi"),
    (copy, "s3", {"region": "eu-central-1"}, S3),
    (copy, "retry", {"max_attempts": 3}, RETRY),
    (copy, "retry", None, RETRY),
    (copy, "format", None, FORMAT),
    (copy, "table", 3, f"table is an int{NAMES}"),
    (copy, "table", None, f"table is None{NAMES}"),
    (copy, "ledger", None, f"ledger is None{NAMES}"),
    (copy, "keys", 3, f"keys is an int{NAMES}"),
    (copy, "columns", 3, f"columns is an int{NAMES}"),
    (copy, "iam_role", 3, f"iam_role is an int{NAMES}"),
    (copy, "create_tables", "yes", "create_tables='yes' must be True or False"),
    (loader, "s3", {"region": "eu-central-1"}, S3),
    (loader, "retry", 3, RETRY),
    (loader, "format", 3, FORMAT),
    (limits, "max_object_bytes", None, "max_object_bytes=None must be a whole number"),
    (limits, "max_records", "3", "max_records='3' must be a whole number"),
    (limits, "max_seconds", "60", "max_seconds='60' must be a number of seconds"),
    (limits, "lanes", 1.5, r"lanes=1\.5 must be a whole number"),
]


def ids(case: Any) -> str | None:
    return case.__name__ if callable(case) and not isinstance(case, type) else None


@pytest.mark.parametrize(("construct", "parameter", "value", "message"), WRONG, ids=ids)
def test_a_wrong_type_is_named_with_the_way_out(
    construct: Callable[..., None], parameter: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}") as caught:
        construct(**{parameter: value})
    assert "hidden" not in str(caught.value), "a value of a wrong type may hold a secret"


STREAMER = [
    ("uploader", 3, r"uploader=3 must have a method upload\(file\), or be a function of the file"),
    ("files_path", None, FOLDER),
    ("files_path", b"folder", FOLDER),
    ("format", ["json-lines"], r"format=\['json-lines'\] can't be streamed: take 'json-array' or 'json-lines'"),
    ("compression", {}, "compression={} must be one of none, gzip"),
    ("manifests", {"count": 1}, "manifests=.* must be a Manifests, or None for none"),
    ("retry", {}, RETRY),
    ("retry", None, RETRY),
    ("clock", 3, r"clock=3 must be a function without arguments, such as time\.monotonic"),
]


@pytest.mark.parametrize(("parameter", "value", "message"), STREAMER)
def test_the_streamer_does_so_too_and_leaves_no_folder(
    tmp_path: pathlib.Path, parameter: str, value: Any, message: str
) -> None:
    folder = tmp_path / "buffers"
    arguments = {"uploader": print, "files_path": folder, parameter: value}
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        JsonBufferStreamer(**arguments)
    assert not folder.exists()


def test_the_right_types_are_taken() -> None:
    for construct in (write, box, uploader, copy, loader, limits):
        construct()
    write(s3=S3Settings(sse="AES256"), format=AvroFormat(), manifests=None, check_destination=False)
    copy(columns=["a"], keys=["a"], mode="upsert", table=("public", "t"))


def test_the_sentence_reads_well() -> None:
    with pytest.raises(ConfigurationError) as caught:
        write(s3={"sse": "AES256"})
    assert str(caught.value) == (
        "s3 is a dict, and must be an S3Settings: write S3Settings(region='eu-central-1'), or None for the defaults"
    )
    assert re.search(r"\bNoneType\b", str(caught.value)) is None
