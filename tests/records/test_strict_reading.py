"""Lines go where a strict, slow and separate reading of the rules puts them: in batches, one by one, and as dicts."""

from __future__ import annotations

import collections
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.records.encoding import REASONS, RecordRules
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from tests.records.router_rules import BY_FIELDS, GOOD, LAX, STRICT


def reference(line: bytes, selector: StreamSelector, rules: RecordRules) -> Stream | None:
    """Return the stream of a line that must be accepted, or None for one that must be rejected."""
    texts: list[str] = []

    def note(value: Any) -> None:
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            for item in value:
                note(item)

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, value in found:
            texts.append(key)
            note(value)
        return dict(found)

    def reject(constant: str) -> None:
        raise ValueError(constant)

    try:
        record = json.loads(line.decode("utf-8"), parse_constant=reject, object_pairs_hook=pairs)
        for text in texts:
            text.encode("utf-8")
    except ValueError:
        return None
    if not isinstance(record, dict) or (rules.forbid_nul and any("\x00" in text for text in texts)):
        return None
    if rules.max_bytes is not None and len(line.replace(b"|", b"||")) > rules.max_bytes:
        return None
    domain = selector.domain or reference_name(record.get(selector.domain_field))
    namespace = selector.namespace or reference_name(record.get(selector.namespace_field))
    return Stream(domain, namespace) if domain and namespace else None


def reference_name(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value in (float("inf"), float("-inf")):
        return None
    return str(value)


TOKENS = [
    '"a"', '"b"', '"1"', '"1.0"', '"1.5"', "1", "1.0", "1.50", "-0", "-0.0", "10e2", "1" + "0" * 30, "18446744073709551616",
    "1e400", "-1e999", "true", "null", '""', "[]", "{}", '{"d":"z","n":"z"}', '[{"d":"z"},[1,2.5]]', '"\\u0061"', '"ä"',
    '"💧"', '"\\ud83d\\udca7"', '"\\ud800"', '"\\udc00x"', '"\\u0000"', '"\\\\u0000"', '"\\\\\\u0000"',
    '"||||||||||||"', '"a\\nb"', '"a\\/b"',
    "NaN", "Infinity", "01", "1.", "'a'", '"\t"', '"\x7f\u2028"', '"' + "x" * 40 + '"',
]  # fmt: skip
KEYS = ['"d"', '"n"', '"d"', '"n"', '"\\u0064"', '"x"', '"D"', '""', '"\\ud800"', '"\\u0000"', '"n\\u0000"']
MEMBERS = st.tuples(st.sampled_from(KEYS), st.sampled_from(TOKENS))
SPACES = st.sampled_from(["", "", "", " ", "\t", "  "])
NAMED = st.tuples(st.sampled_from(TOKENS[:20]), st.sampled_from(TOKENS[:20]))


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """Text of an object that mostly names its stream, with duplicates, escapes and unusual values."""
    domain, namespace = draw(NAMED)
    members = [*draw(st.lists(MEMBERS, max_size=3)), ('"d"', domain), ('"n"', namespace)]
    order = draw(st.permutations(members))
    space = draw(SPACES)
    text = f"{space},".join(f"{space}{key}{space}:{space}{value}" for key, value in order)
    return f"{space}{{{text}{space}}}{space}".encode()


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Text of an object with a few bytes removed, repeated, replaced or put in."""
    line = bytearray(draw(objects()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        byte = draw(st.sampled_from(b'{}[]",:\\u0de1.-|\x00\x01\x7f\x80\xc3\xed\xff \t') | st.integers(0, 255))
        move = draw(st.sampled_from(["put", "take", "replace"]))
        line[at : at if move == "put" else at + 1] = b"" if move == "take" else bytes([byte])
    return bytes(line)


LINES = st.one_of(
    objects(),
    mutants(),
    st.sampled_from(
        [b"", b" ", b"null", b"[]", b"{}", b'"d"', b"5", b'\xef\xbb\xbf{"d":"a","n":"b"}', b'{"d":"a","n":"b"}\x00']
    ),
    st.binary(max_size=12),
)
ONE_LINES = LINES.filter(lambda line: b"\n" not in line and b"\r" not in line)


@settings(max_examples=500, deadline=None)
@given(ONE_LINES, st.sampled_from([LAX, STRICT]))
@example(b'{"d":1.5,"n":"b","x":"\\ud800","x":1}', LAX)
@example(b'{"d":1.5,"n":1000000000000000000000000000000}', LAX)
@example(b'{"d":true,"d":"a","n":"b"}', LAX)
@example(b'{"d":"a","d":1e400,"n":"b"}', LAX)
def test_lines_are_accepted_exactly_as_the_strict_reading_does(line: bytes, rules: RecordRules) -> None:
    expected = reference(line, BY_FIELDS, rules)
    router = Router(BY_FIELDS, rules)
    groups, rejected = router.route_lines([line])
    if expected is None:
        assert groups == {}
        assert [one.raw for one in rejected] == [line]
        assert rejected[0].reason in REASONS
        assert rejected[0].detail
    else:
        assert (groups, rejected) == ({expected: [line]}, [])
    # with a good line the whole batch takes the quick way
    again, rejected_again = router.route_lines([line, GOOD])
    assert len(rejected_again) == len(rejected)
    if expected is not None:
        assert again[expected][0] is line


@settings(max_examples=200, deadline=None)
@given(
    ONE_LINES,
    st.sampled_from(
        [
            StreamSelector(domain="web", namespace="clicks"),
            StreamSelector(domain="web", namespace_field="n"),
            StreamSelector(domain_field="d", namespace="clicks"),
            StreamSelector(domain_field="d", namespace_field="d"),
            StreamSelector(domain_field="n", namespace_field="d"),
            StreamSelector(domain_field="x", namespace_field="D"),
        ]
    ),
    st.sampled_from([LAX, STRICT]),
)
def test_every_naming_accepts_exactly_as_the_strict_reading_does(
    line: bytes, selector: StreamSelector, rules: RecordRules
) -> None:
    expected = reference(line, selector, rules)
    groups, rejected = Router(selector, rules).route_lines([line])
    assert groups == ({} if expected is None else {expected: [line]})
    assert [one.raw for one in rejected] == ([line] if expected is None else [])


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=7), st.sampled_from([LAX, STRICT]))
@example([b'{"d":1,"n":"b"}', b'{"d":"1","n":"b"}', b'{"d":1,"n":"b" }'], LAX)
@example([b'{"d":"1.5","n":"b"}', b'{"d":1.5,"n":"b"}'], LAX)
@example([b'{"d":1,"n":"b"}', b'{"d":1.0,"n":"b"}', b'{"d":true,"n":"b"}'], LAX)
@example([b'{"d":"a","n":"b","x":"' + b"|" * 36 + b'"}', b'{"d":"a","n":"b"}'], STRICT)
@example([b'{"d":"a","n":"b"}\n', b'{"d":"a",\n"n":"b"}', b"", b"\n"], LAX)
@example(
    [b"[1]", b"[1,", b'["\\ud800"]', b"[1] 2", b"[", b'{"d":"a","n":"b"}', b" [1]", b"[1e999]", b"[\xff]", b"[NaN]"],
    LAX,
)
@example([], LAX)
def test_a_batch_is_routed_as_its_lines_one_by_one(lines: list[bytes], rules: RecordRules) -> None:
    router = Router(BY_FIELDS, rules)
    groups, rejected = router.route_lines(lines)
    expected: dict[Stream, list[bytes]] = {}
    expected_rejected = []
    for line in lines:
        routed = router.route(line)
        if isinstance(routed, RejectedRecord):
            expected_rejected.append(routed)
        else:
            expected.setdefault(routed[0], []).append(routed[1])
    assert groups == expected
    assert collections.Counter(rejected) == collections.Counter(expected_rejected)
    assert sum(map(len, groups.values())) + len(rejected) == len(lines)


@settings(max_examples=300, deadline=None)
@given(objects())
@example(b'{"d":1.5,"n":1000000000000000000000000000000}')
@example(b'{"d":1e22,"n":-0.0}')
def test_a_line_and_the_dict_it_holds_go_to_the_same_stream(line: bytes) -> None:
    try:
        record = json.loads(line)
        pairs = json.loads(line, object_pairs_hook=list)
    except ValueError:
        return
    if len(pairs) > len(record):
        return  # what is wrong with the line may be gone from the dict: a duplicate
    router = Router(BY_FIELDS, LAX)
    of_line, of_dict = router.route(line), router.route(record)
    if isinstance(of_line, RejectedRecord):
        if "NaN" not in line.decode() and "Infinity" not in line.decode():
            assert isinstance(of_dict, RejectedRecord)
        return
    assert not isinstance(of_dict, RejectedRecord)
    assert of_dict[0] == of_line[0]
    assert json.loads(of_dict[1].replace(b"null", b"0")) == json.loads(
        json.dumps(record).replace("-Infinity", "0").replace("Infinity", "0").replace("null", "0")
    )
