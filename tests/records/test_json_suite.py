"""What is a record and what is not, by the documents of JSONTestSuite and a second parser."""

from __future__ import annotations

import base64
import gzip
import json
import math
import pathlib
from typing import Any

import pytest

from beam_s3box.records.encoding import record_rules
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector

SUITE = pathlib.Path(__file__).with_name("json_test_suite") / "documents.jsonl.gz"
DOCUMENTS = {
    each["name"]: base64.b64decode(each["base64"])
    for each in map(json.loads, gzip.decompress(SUITE.read_bytes()).splitlines())
}


@pytest.fixture(scope="module")
def router() -> Router:
    rules = record_rules(for_redshift=False, max_record_bytes=None, long_values="keep")
    return Router(StreamSelector("d", "n"), rules)


def refuse(constant: str) -> Any:
    raise ValueError(constant)


def parsed(text: bytes) -> Any:
    """Return what Python's own parser makes of a text in UTF-8, which takes NaN and Infinity by default."""
    return json.loads(text.decode("utf-8"), parse_constant=refuse)


def of_object(document: bytes) -> bool:
    try:
        return isinstance(parsed(document), dict)
    except (ValueError, RecursionError):
        return False


def same(one: Any, other: Any) -> bool:
    """Compare values; a number beyond the range of a double is the same as itself in digits or infinite."""
    if isinstance(one, float) and isinstance(other, float) and math.isinf(one):
        return math.isinf(other)
    return bool(one == other)


def test_the_suite_is_whole() -> None:
    kinds = [name[0] for name in DOCUMENTS]
    assert (kinds.count("y"), kinds.count("n"), kinds.count("i")) == (95, 188, 35)


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.startswith("y")])
def test_valid_json_is_a_record_alone_and_within_one(router: Router, name: str) -> None:
    document = DOCUMENTS[name]
    within = router.route(b'{"v":' + document + b"}")
    assert not isinstance(within, RejectedRecord), within
    assert same(parsed(within[1])["v"], parsed(document))
    alone = router.route(document)
    assert isinstance(alone, RejectedRecord) is not of_object(document)


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.startswith("n")])
def test_invalid_json_is_a_dead_letter_alone_and_within_a_record(router: Router, name: str) -> None:
    document = DOCUMENTS[name]
    for text in (document, b'{"v":' + document + b"}"):
        routed = router.route(text)
        assert isinstance(routed, RejectedRecord)
        assert routed.raw == text


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.startswith("i")])
def test_what_parsers_differ_in_is_kept_exactly_or_a_dead_letter(router: Router, name: str) -> None:
    text = b'{"v":' + DOCUMENTS[name] + b"}"
    routed = router.route(text)
    if isinstance(routed, RejectedRecord):
        assert routed.raw == text
        assert routed.detail
    else:
        assert routed[1] == text.strip()


def test_lines_of_the_suite_are_routed_together_as_alone(router: Router) -> None:
    lines = [b'{"v":' + document + b"}" for document in DOCUMENTS.values()]
    lines = [line for line in lines if b"\n" not in line and b"\r" not in line]
    groups, rejected = router.route_lines(lines)
    alone = [router.route(line) for line in lines]
    assert sorted(line for group in groups.values() for line in group) == sorted(
        routed[1] for routed in alone if not isinstance(routed, RejectedRecord)
    )
    assert sorted(letter.raw for letter in rejected) == sorted(
        routed.raw for routed in alone if isinstance(routed, RejectedRecord)
    )
