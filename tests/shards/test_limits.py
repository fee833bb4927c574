"""Limits of shards: what is refused and how it is said, and which limits a stream has."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import (
    DEFAULT_OBJECT_BYTES,
    MAX_OBJECT_BYTES,
    MIN_BYTES,
    StreamLimits,
    limits_by_stream,
    limits_from_json,
)
from beam_s3box.sizes import GiB, KiB, MiB

SMALL = StreamLimits(object_bytes=1 * MiB)
TINY = StreamLimits(object_bytes=64 * KiB)
LARGE = StreamLimits(object_bytes=512 * MiB)


def only_small(stream: Stream) -> StreamLimits:
    return SMALL


def test_defaults() -> None:
    limits = StreamLimits()
    assert (limits.object_bytes, limits.raw_bytes, limits.records, limits.seconds) == (64 * MiB, None, None, 60.0)
    assert 64 * MiB == DEFAULT_OBJECT_BYTES


@pytest.mark.parametrize(
    "values",
    [
        {"object_bytes": MIN_BYTES},
        {"object_bytes": MAX_OBJECT_BYTES},
        {"raw_bytes": 1},
        {"raw_bytes": 2**60},
        {"records": 1},
        {"seconds": 0.001},
        {"seconds": 1},
        {"seconds": None},
    ],
)
def test_accepts(values: dict[str, Any]) -> None:
    limits = StreamLimits(**values)
    for name, value in values.items():
        assert getattr(limits, name) == value


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("object_bytes", MIN_BYTES - 1, "a whole number from 64 to 1073741824"),
        ("object_bytes", 1 * GiB + 1, "a whole number from 64 to 1073741824"),
        ("object_bytes", 0, "from 64"),
        ("object_bytes", -1, "from 64"),
        ("object_bytes", 1e6, "a whole number"),
        ("object_bytes", "10MB", "a whole number"),
        ("object_bytes", None, "a whole number"),
        ("object_bytes", True, "a whole number"),
        ("raw_bytes", 0, "a whole number of at least 1"),
        ("raw_bytes", -5, "of at least 1"),
        ("raw_bytes", 1.5, "a whole number"),
        ("raw_bytes", True, "a whole number"),
        ("raw_bytes", "1", "a whole number"),
        ("records", 0, "a whole number of at least 1"),
        ("records", True, "a whole number"),
        ("records", 2.0, "a whole number"),
        ("seconds", 0, "a number above 0; None means no time limit"),
        ("seconds", -1.5, "a number above 0"),
        ("seconds", float("nan"), "a number above 0"),
        ("seconds", float("inf"), "None means no time limit"),
        ("seconds", True, "a number above 0"),
        ("seconds", "60", "a number above 0"),
    ],
)
def test_refusals_name_parameter_value_and_rule(name: str, value: object, rule: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        StreamLimits(**{name: value})  # type: ignore[arg-type]
    assert f"{name}={value!r} must be " in str(caught.value)
    assert rule in str(caught.value)


def test_limits_are_values() -> None:
    assert pickle.loads(pickle.dumps(SMALL)) == SMALL
    assert hash(StreamLimits()) == hash(StreamLimits())
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.records = 3  # type: ignore[misc]


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
def test_odd_patterns_are_refused(pattern: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"limits has the pattern .*write '\*' or 'domain/namespace'"
    ) as caught:
        limits_by_stream({pattern: SMALL})
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize("value", [None, 5, {"records": 1}, StreamLimits, "10MB"])
def test_a_mapping_to_anything_else_is_refused(value: Any) -> None:
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
        ({"object_bytes": "10MB"}, StreamLimits(object_bytes=10_000_000)),
        ({"object_bytes": 100_000}, StreamLimits(object_bytes=100_000)),
        ({"raw_bytes": "64MiB", "records": 10}, StreamLimits(raw_bytes=64 * MiB, records=10)),
        ({"raw_bytes": None, "seconds": None}, StreamLimits(seconds=None)),
        ({"seconds": 1.5}, StreamLimits(seconds=1.5)),
    ],
)
def test_reads_json(values: dict[str, Any], limits: StreamLimits) -> None:
    assert limits_from_json(values) == limits


@pytest.mark.parametrize("values", [None, [], "64MiB", 5, [["records", 1]]])
def test_json_must_be_an_object(values: Any) -> None:
    with pytest.raises(
        ConfigurationError, match="--limits must be an object with some of object_bytes, raw_bytes, records"
    ):
        limits_from_json(values, "--limits")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bytes": 5}, r"limits has 'bytes'; known are object_bytes, raw_bytes, records, seconds"),
        ({"segment_bytes": 5}, r"limits has 'segment_bytes'"),
        ({"object_bytes": "10XB"}, r"limits\.object_bytes='10XB' is not a size"),
        ({"raw_bytes": "0"}, r"limits\.raw_bytes='0' must be at least 1 byte"),
        ({"object_bytes": 5}, r"object_bytes=5 must be a whole number from 64"),
        ({"object_bytes": "5GB"}, r"object_bytes=5000000000 must be a whole number from 64 to 1073741824"),
        ({"records": "10"}, r"records='10' must be a whole number"),
        ({"records": 1.0}, r"records=1\.0 must be a whole number"),
        ({"seconds": "60"}, r"seconds='60' must be a number above 0"),
    ],
)
def test_json_refusals_say_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        limits_from_json(values)
