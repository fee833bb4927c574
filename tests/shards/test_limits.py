"""Limits of shards: what is rejected and with which message, and which limits a stream has."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.lanes import MAX_LANES
from beam_s3box.shards.limits import (
    DEFAULT_OBJECT_BYTES,
    MAX_OBJECT_BYTES,
    MIN_BYTES,
    StreamLimits,
    limits_by_stream,
    limits_from_json,
)
from beam_s3box.sizes import GiB, KiB, MiB

SMALL = StreamLimits(max_object_bytes=1 * MiB)
TINY = StreamLimits(max_object_bytes=64 * KiB)
LARGE = StreamLimits(max_object_bytes=512 * MiB)


def only_small(stream: Stream) -> StreamLimits:
    return SMALL


def test_defaults() -> None:
    limits = StreamLimits()
    assert (limits.max_object_bytes, limits.max_raw_bytes, limits.max_records, limits.max_seconds) == (
        64 * MiB,
        None,
        None,
        60.0,
    )
    assert 64 * MiB == DEFAULT_OBJECT_BYTES


@pytest.mark.parametrize(
    "values",
    [
        {"max_object_bytes": MIN_BYTES},
        {"max_object_bytes": MAX_OBJECT_BYTES},
        {"max_raw_bytes": 1},
        {"max_raw_bytes": 2**60},
        {"max_records": 1},
        {"max_seconds": 0.001},
        {"max_seconds": 1},
        {"max_seconds": None},
        {"lanes": 1},
        {"lanes": MAX_LANES},
    ],
)
def test_accepts(values: dict[str, Any]) -> None:
    limits = StreamLimits(**values)
    for name, value in values.items():
        assert getattr(limits, name) == value


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("max_object_bytes", MIN_BYTES - 1, "a whole number from 64 to 1073741824"),
        ("max_object_bytes", 1 * GiB + 1, "a whole number from 64 to 1073741824"),
        ("max_object_bytes", 0, "from 64"),
        ("max_object_bytes", -1, "from 64"),
        ("max_object_bytes", 1e6, "a whole number"),
        ("max_object_bytes", None, "a whole number"),
        ("max_object_bytes", True, "a whole number"),
        ("max_raw_bytes", 0, "a whole number of at least 1"),
        ("max_raw_bytes", -5, "of at least 1"),
        ("max_raw_bytes", 1.5, "a whole number"),
        ("max_raw_bytes", True, "a whole number"),
        ("max_records", 0, "a whole number of at least 1"),
        ("max_records", True, "a whole number"),
        ("max_records", 2.0, "a whole number"),
        ("max_seconds", 0, "a number of seconds above 0; None means no time limit"),
        ("max_seconds", -1.5, "a number of seconds above 0"),
        ("max_seconds", float("nan"), "a number of seconds above 0"),
        ("max_seconds", float("inf"), "None means no time limit"),
        ("max_seconds", True, "a number of seconds above 0"),
        ("max_seconds", "60", "a number of seconds above 0"),
        ("lanes", 0, "a whole number from 1 to 1000"),
        ("lanes", MAX_LANES + 1, "a whole number from 1 to 1000"),
        ("lanes", True, "a whole number"),
        ("lanes", "4", "a whole number"),
    ],
)
def test_rejections_name_parameter_value_and_rule(name: str, value: object, rule: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        StreamLimits(**{name: value})  # type: ignore[arg-type]
    assert f"{name}={value!r} must be " in str(caught.value)
    assert rule in str(caught.value)


def test_sizes_may_be_text() -> None:
    limits = StreamLimits(max_object_bytes="10MB", max_raw_bytes="64MiB")  # type: ignore[arg-type]
    assert limits == StreamLimits(10_000_000, 64 * MiB)
    with pytest.raises(ConfigurationError, match="max_raw_bytes='3X' is not a size"):
        StreamLimits(max_raw_bytes="3X")  # type: ignore[arg-type]


def test_limits_are_values() -> None:
    assert pickle.loads(pickle.dumps(SMALL)) == SMALL
    assert hash(StreamLimits()) == hash(StreamLimits())
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.max_records = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "limits", [SMALL, {"*": SMALL}, only_small, {"web/*": SMALL}, {"web/clicks": SMALL, "*": TINY}]
)
def test_each_form_answers_and_pickles(limits: Any) -> None:
    of = limits_by_stream(limits)
    assert of(Stream("web", "clicks")) == SMALL
    assert pickle.loads(pickle.dumps(of))(Stream("web", "clicks")) == SMALL


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (("web", "clicks"), SMALL),
        (("web", "orders"), TINY),
        (("app", "orders"), LARGE),
        (("app", "views"), StreamLimits()),
        (("Web", "views"), StreamLimits()),
        (("we", "b/clicks"), StreamLimits()),
        (("web/clicks", ""), StreamLimits()),
        (("a/b", "c"), TINY),
        (("", "x"), SMALL),
        (("q1", "x"), SMALL),
        (("qq", "x"), StreamLimits()),
        (("z*", "x"), SMALL),
        (("zz", "x"), StreamLimits()),
    ],
)
def test_patterns(stream: tuple[str, str], expected: StreamLimits) -> None:
    of = limits_by_stream(
        {
            "web/*": TINY,
            "*/orders": LARGE,
            "web/clicks": SMALL,
            "a%2Fb/c": TINY,
            "%/x": SMALL,
            "q[0-9]/?": SMALL,
            "z%2A/x": SMALL,
        }
    )
    assert of(Stream(*stream)) == expected


@pytest.mark.parametrize("name", ["New York", "Köln", "a:b", "x@y", "100%", "~", "..", "日本"])
def test_names_stand_in_a_pattern_as_they_are_or_as_in_keys(name: str) -> None:
    for stream in (Stream(name, "n"), Stream("n", name)):
        for written in ("/".join(stream), str(stream)):
            assert limits_by_stream({"n/*": TINY, "*/n": TINY, written: SMALL})(stream) == SMALL
    assert limits_by_stream({f"{name}*/n": SMALL})(Stream(f"{name} x", "n")) == SMALL
    assert limits_by_stream({f"{name}/n": SMALL})(Stream(f"{name} x", "n")) == StreamLimits()


def test_a_slash_within_a_name_never_separates_names() -> None:
    of = limits_by_stream({"New York/*": SMALL, "*": TINY})
    assert of(Stream("New York/x", "n")) == TINY
    assert of(Stream("New York", "x/n")) == SMALL


def test_the_first_pattern_that_matches_counts_and_an_exact_name_goes_before() -> None:
    stream = Stream("web", "clicks")
    assert limits_by_stream({"web/*": TINY, "*/clicks": LARGE})(stream) == TINY
    assert limits_by_stream({"*/clicks": LARGE, "web/*": TINY})(stream) == LARGE
    assert limits_by_stream({"*": TINY, "web/*": LARGE, "web/clicks": SMALL})(stream) == SMALL
    assert limits_by_stream({"*": TINY, "web/clicks": SMALL})(Stream("web", "x")) == TINY


def test_no_pattern_at_all_means_the_defaults() -> None:
    assert limits_by_stream({})(Stream("a", "b")) == StreamLimits()


def test_a_mapping_is_copied() -> None:
    limits = {"*": SMALL}
    of = limits_by_stream(limits)
    limits["*"] = TINY
    assert of(Stream("a", "b")) == SMALL


@pytest.mark.parametrize("pattern", ["web", "", "a/b/c", "we*", "**", "//", 5, ("web", "clicks"), None])
def test_invalid_patterns_are_rejected(pattern: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"limits has the pattern .*write '\*' or 'domain/namespace'"
    ) as caught:
        limits_by_stream({pattern: SMALL})
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize("value", [None, 5, {"max_records": 1}, StreamLimits, "10MB"])
def test_a_mapping_to_anything_else_is_rejected(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"limits\['web/\*'\]=.* must be a StreamLimits"):
        limits_by_stream({"web/*": value})


@pytest.mark.parametrize("limits", [None, 5, "10MB", [SMALL]])
def test_other_things_are_no_limits(limits: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"limits=.* must be a StreamLimits, a mapping such as .*, or a function"
    ):
        limits_by_stream(limits)


def test_a_function_must_return_limits() -> None:
    def function(stream: Stream) -> Any:
        return None

    with pytest.raises(ConfigurationError, match=r"limits\(Stream\(domain='a', namespace='b'\)\) returned None"):
        limits_by_stream(function)(Stream("a", "b"))


def test_an_error_of_the_function_is_not_hidden() -> None:
    def fails(stream: Stream) -> StreamLimits:
        raise LookupError(stream.domain)

    with pytest.raises(LookupError, match="web"):
        limits_by_stream(fails)(Stream("web", "b"))


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ({}, StreamLimits()),
        ({"max_object_bytes": "10MB"}, StreamLimits(max_object_bytes=10_000_000)),
        ({"max_object_bytes": 100_000}, StreamLimits(max_object_bytes=100_000)),
        ({"max_raw_bytes": "64MiB", "max_records": 10}, StreamLimits(max_raw_bytes=64 * MiB, max_records=10)),
        ({"max_raw_bytes": None, "max_seconds": None}, StreamLimits(max_seconds=None)),
        ({"max_seconds": 1.5}, StreamLimits(max_seconds=1.5)),
        ({"lanes": 4}, StreamLimits(lanes=4)),
    ],
)
def test_reads_json(values: dict[str, Any], limits: StreamLimits) -> None:
    assert limits_from_json(values) == limits


@pytest.mark.parametrize("values", [None, [], "64MiB", 5, [["records", 1]]])
def test_json_must_be_an_object(values: Any) -> None:
    with pytest.raises(
        ConfigurationError, match="--limits must be an object with some of max_object_bytes, max_raw_bytes, max_records"
    ):
        limits_from_json(values, "--limits")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bytes": 5}, r"limits has 'bytes'; known are max_object_bytes, max_raw_bytes, max_records, max_seconds"),
        ({"segment_bytes": 5}, r"limits has 'segment_bytes'"),
        ({"max_object_bytes": "10XB"}, r"max_object_bytes='10XB' is not a size"),
        ({"max_raw_bytes": "0"}, r"max_raw_bytes='0' must be at least 1 byte"),
        ({"max_object_bytes": 5}, r"object_bytes=5 must be a whole number from 64"),
        ({"max_object_bytes": "5GB"}, r"object_bytes=5000000000 must be a whole number from 64 to 1073741824"),
        ({"max_records": "10"}, r"records='10' must be a whole number"),
        ({"max_records": 1.0}, r"records=1\.0 must be a whole number"),
        ({"max_seconds": "60"}, r"seconds='60' must be a number of seconds above 0"),
    ],
)
def test_json_rejections_say_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        limits_from_json(values)
