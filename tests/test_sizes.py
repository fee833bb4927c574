"""Sizes as people write them."""

from __future__ import annotations

import decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import GiB, KiB, MiB, format_size, parse_size

UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("100000", 100_000),
        ("10MB", 10_000_000),
        ("64MiB", 64 * MiB),
        (" 64 mib ", 64 * MiB),
        ("1.5 KiB", 1536),
        ("2gib", 2 * GiB),
        ("512kib", 512 * KiB),
        ("0.5KB", 500),
        ("007B", 7),
    ],
)
def test_parses(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "MB",
        "-1",
        "+1",
        "1e3",
        "10 M B",
        "10XB",
        "10TB",
        "1,000",
        "1_000",
        "١٠",
        "1.5.2MB",
        ".5MB",
        "5.MB",
        "0x10",
        "10MB\x00",
    ],
)
def test_refuses_what_is_no_size(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"buffer=.* is not a size: write bytes, with or without a unit"
    ) as caught:
        parse_size(text, "buffer")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0", "0MB", "0.0", "0.4", "0.0001KB"])
def test_refuses_less_than_a_byte(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"buffer=.* must be at least 1 byte"):
        parse_size(text, "buffer")


@pytest.mark.parametrize("text", ["9" * 400 + ".5", "9" * 5000], ids=["fraction", "whole"])
def test_an_absurd_number_is_a_configuration_error_too(text: str) -> None:
    """No number of digits ends in an OverflowError or a bare ValueError."""
    try:
        size = parse_size(text)
    except ConfigurationError:
        return
    assert size == int(decimal.Decimal(text))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 99_999), st.integers(0, 999), st.sampled_from(sorted(UNITS)))
def test_fractions_are_exact(whole: int, thousandths: int, unit: str) -> None:
    """Binary floating point never takes a byte away."""
    text = f"{whole}.{thousandths:03d}"
    assert parse_size(text + unit) == int(decimal.Decimal(text) * UNITS[unit])


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (1_500_000, "1.5 MB"),
        (999_999, "1.0 MB"),
        (999_949, "999.9 KB"),
        (10**9, "1.0 GB"),
        (12 * 10**12, "12000.0 GB"),
    ],
)
def test_formats(size: int, text: str) -> None:
    assert format_size(size) == text


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**13))
def test_a_formatted_size_reads_back_within_a_twentieth(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.05)
