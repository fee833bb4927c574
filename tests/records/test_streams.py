"""Names of streams as folders: one path component each, never two names in one folder."""

from __future__ import annotations

import pickle
import string
import urllib.parse

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.records.streams import MIN_FOLDER_BYTES, Stream, encode_name, folder_name

ODD_NAMES = [
    "",
    ".",
    "..",
    "...",
    "/",
    "a/b",
    "../x",
    "%",
    "%2E",
    "%%",
    "~",
    "a~b",
    " ",
    "ä",
    "💧",
    "\x00",
    "\\",
    "a.",
    ".a",
    "a b",
]
NAMES = st.one_of(
    st.sampled_from(ODD_NAMES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text("./%~2Ea", max_size=8),
    st.text("xyä%", min_size=80, max_size=300),
)
SAFE = set(string.ascii_letters + string.digits + "-_.%")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("web", "web"),
        ("Web-1_a.b", "Web-1_a.b"),
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("a b", "a%20b"),
        ("%", "%25"),
        ("~", "%7E"),
        ("ä", "%C3%A4"),
        ("a\\b", "a%5Cb"),
        ("\n", "%0A"),
    ],
)
def test_encodes(name: str, folder: str) -> None:
    assert encode_name(name) == folder


@settings(max_examples=300, deadline=None)
@given(NAMES)
def test_an_encoded_name_is_one_component_that_reads_back(name: str) -> None:
    encoded = encode_name(name)
    assert encoded
    assert set(encoded) <= SAFE
    assert encoded.strip(".")
    assert urllib.parse.unquote(encoded, errors="strict") == (name or "%")


@settings(max_examples=300, deadline=None)
@given(NAMES, st.sampled_from([MIN_FOLDER_BYTES, 30, 70, 96]))
def test_a_folder_is_one_component_within_its_limit(name: str, most: int) -> None:
    folder = folder_name(name, most)
    assert 0 < len(folder.encode("ascii")) <= most
    assert set(folder) <= SAFE | {"~"}
    assert folder.strip(".")


@settings(max_examples=500, deadline=None)
@given(NAMES, NAMES, st.sampled_from([MIN_FOLDER_BYTES, 96]))
@example("", "%", 96)
@example("..", "%2E%2E", 96)
@example("~", "%7E", 96)
@example("x" * 300, "x" * 299, MIN_FOLDER_BYTES)
@example("ä" * 40, "ä" * 41, MIN_FOLDER_BYTES)
def test_two_names_never_share_a_folder(first: str, second: str, most: int) -> None:
    same = folder_name(first, most) == folder_name(second, most)
    assert same == (first == second)


def test_a_short_name_can_not_be_written_to_look_like_a_shortened_one() -> None:
    shortened = folder_name("x" * 300, MIN_FOLDER_BYTES)
    assert "~" in shortened
    assert folder_name(shortened, 96) != shortened


def test_a_long_name_keeps_its_beginning_and_is_the_same_each_time() -> None:
    assert folder_name("checkout-" * 40, 96).startswith("checkout-checkout-")
    assert folder_name("x" * 97, 96) == "x" * 79 + "~19a8f07eeb7f3d0c"
    assert folder_name("x" * 96, 96) == "x" * 96
    assert folder_name("checkout-" * 40, 96) == folder_name("checkout-" * 40, 96)


def test_shows_itself_as_its_folders() -> None:
    assert str(Stream("a/b", "")) == "a%2Fb/%"
    assert f"{Stream('web', 'clicks')}" == "web/clicks"


def test_is_a_plain_pair() -> None:
    stream = Stream("web", "clicks")
    assert stream == ("web", "clicks")
    assert hash(stream) == hash(("web", "clicks"))
    assert pickle.loads(pickle.dumps(stream)) == stream
