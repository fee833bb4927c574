"""Texts that Redshift can't store: each is found wherever it stands, and a cut leaves everything else as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box import S3Box
from beam_s3box.errors import ConfigurationError, NotAnObjectError, RecordError
from beam_s3box.formats import AvroFormat, encoders_of
from beam_s3box.records.encoding import VALUE_TOO_LONG, RecordRules, record_rules
from beam_s3box.records.long_values import MAX_TEXT_BYTES, cut, long_texts
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.stores import MemoryStore

FITS = "x" * MAX_TEXT_BYTES
LONG = FITS + "y"
WEB = Stream("web", "clicks")


def router(long_values: Any = "reject", **options: Any) -> Router:
    return Router(StreamSelector(*WEB), record_rules(for_redshift=True, long_values=long_values), **options)


def texts_of(value: Any) -> list[str]:
    """Return all texts of a value, names included, in the order in which JSON writes them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in [key, *texts_of(item)]]
    return [text for item in value for text in texts_of(item)] if isinstance(value, list) else []


def cut_by_hand(value: Any, most: int) -> Any:
    if isinstance(value, str):
        while len(value.encode()) > most:
            value = value[:-1]
        return value
    if isinstance(value, dict):
        return {key: cut_by_hand(item, most) for key, item in value.items()}
    return [cut_by_hand(item, most) for item in value] if isinstance(value, list) else value


TEXTS = st.text('ab"\\\n/é€😀{}[]:, ', max_size=12)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.integers(1, 10), st.booleans(), st.sampled_from([None, 1]))
@example({"a": 'b"' * 6}, 10, False, None)
@example({"a" * 9: "b"}, 8, False, None)
def test_every_long_text_is_found_and_no_other(
    record: dict[str, Any], most: int, escaped: bool, indent: int | None
) -> None:
    line = json.dumps(record, ensure_ascii=escaped, indent=indent).encode()
    expected = [text for text in texts_of(record) if len(text.encode()) > most]
    found = list(long_texts(line, most))
    assert [long.text.decode() for long in found] == expected
    if not any(long.is_key for long in found):
        assert json.loads(cut(line, found, most)) == cut_by_hand(record, most)


@pytest.mark.parametrize(
    "record",
    [
        {"a": LONG}, {"a": {"b": [1, {"c": LONG}]}}, {"a": [LONG]}, {"a": "é" * 32_768}, {"a": '"' * 65_536},
        {LONG: 1}, {"a": "\\" * 65_536},
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [dict, json.dumps, lambda record: json.dumps(record).encode()])
def test_a_long_text_is_rejected_with_its_size_and_name(record: Any, make: Any) -> None:
    routed = router().route(make(record))
    assert isinstance(routed, RejectedRecord)
    assert (routed.stream, routed.reason) == (WEB, VALUE_TOO_LONG)
    assert "6553" in routed.detail
    assert "65535: shorten it, or set long_values" in routed.detail
    line = json.dumps(record).encode()
    groups, rejected = router().route_lines([line, b'{"a":1}'])
    assert groups == {WEB: [b'{"a":1}']}
    assert [(one.reason, one.raw) for one in rejected] == [(VALUE_TOO_LONG, line)]


@pytest.mark.parametrize(
    "record", [{"a": FITS}, {"a": [FITS, {"b": FITS}]}, {"a": "\n" * MAX_TEXT_BYTES}, {"a": "é" * 32_767}, {"a": [1] * 70_000}]
)  # fmt: skip
def test_what_fits_is_written_byte_for_byte_however_json_writes_it(record: Any) -> None:
    line = json.dumps(record).encode()
    for long_values in ("reject", "truncate", "keep"):
        assert router(long_values).route(line) == (WEB, line)
        assert router(long_values).route_lines([line]) == ({WEB: [line]}, [])


def test_truncate_cuts_at_the_end_of_a_character_and_touches_nothing_else() -> None:
    line = b'{ "n":1.50, "a":"' + "é".encode() * 40_000 + b'" , "big":123456789012345678901234567890,"b":["x"]}'
    (stream, kept), (_, again) = router("truncate").route(line), router("truncate").route(line.decode())  # type: ignore[misc]
    assert stream == WEB
    assert kept == again == line.replace("é".encode() * 40_000, "é".encode() * 32_767)
    assert router("truncate").route_lines([line, b"{}"]) == ({WEB: [kept, b"{}"]}, [])


def test_a_field_whose_name_is_too_long_is_not_cut_because_two_could_become_one() -> None:
    routed = router("truncate").route({LONG + "1": 1, LONG + "2": 2})
    assert isinstance(routed, RejectedRecord)
    assert routed.reason == VALUE_TOO_LONG


def test_truncate_lets_a_record_in_that_was_too_large_for_its_long_text() -> None:
    assert router("truncate").route({"a": "x" * 5_000_000}) == (WEB, b'{"a":"' + FITS.encode() + b'"}')


def test_keep_and_writes_without_redshift_let_all_pass() -> None:
    line = json.dumps({"a": LONG}).encode()
    assert router("keep").route(line) == (WEB, line)
    assert record_rules(for_redshift=False) == RecordRules(None, False, "keep")
    with pytest.raises(ConfigurationError, match="long_values='cut' must be one of 'reject', 'truncate', 'keep'"):
        record_rules(for_redshift=True, long_values="cut")  # type: ignore[arg-type]


def test_rows_of_avro_obey_the_same_limit() -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": ["null", "string"]}]}
    encoders = encoders_of(AvroFormat(schema, for_redshift=True))
    rejected = router(encoders=encoders).route({"a": LONG})
    assert isinstance(rejected, RejectedRecord)
    assert rejected.reason == VALUE_TOO_LONG
    assert router("truncate", encoders=encoders).route({"a": LONG}) == router(encoders=encoders).route({"a": FITS})


@pytest.mark.parametrize("record", [{"a": LONG}, json.dumps({"a": [LONG]}), json.dumps({"a": LONG}).encode()])
def test_a_box_raises_cuts_or_keeps(record: Any) -> None:
    box = S3Box(MemoryStore("long-values"))
    with pytest.raises(RecordError, match=VALUE_TOO_LONG) as caught:
        box.pack(record)
    assert not isinstance(caught.value, NotAnObjectError)
    with pytest.raises(RecordError, match=VALUE_TOO_LONG):
        box.pack_many([b'{"a":1}', record])
    assert box.stats.records == 1
    for long_values, size in (("truncate", MAX_TEXT_BYTES), ("keep", MAX_TEXT_BYTES + 1)):
        kept = S3Box(MemoryStore("long-values"), long_values=long_values)  # type: ignore[arg-type]
        kept.pack(record)
        assert size < kept.stats.raw_bytes < size + 20
