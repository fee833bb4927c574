"""URLs are taken apart by one function, which raises nothing and shows nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.stores import S3Settings
from beam_s3box.stores.urls import UrlParts, split_url


def test_a_url_is_taken_apart() -> None:
    assert split_url("Redshift://me:a%2Fb@Host:5440/d%20v?ssl=false&x=") == UrlParts(
        "redshift", "me", "a/b", "host", 5440, "/d v", (("ssl", "false"), ("x", "")), ""
    )
    assert split_url("http://[::1]:80") == UrlParts("http", None, None, "::1", 80, "", (), "")


@pytest.mark.parametrize(
    "url",
    [None, b"http://host", "http://ho[st", "http://host:x", "http://host:99999", "http://a\u2100b@host", "http://ho st",
     "http://u:p\n@host", "http://u:1/2@host", "http://u:1?2@host", "http://u:1#2@host", "http://u:1/2\\3"],
)  # fmt: skip
def test_what_can_not_be_taken_apart_is_none(url: object) -> None:
    assert split_url(url) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    split_url(text)
    split_url(f"http://user:{text}@host:80/path?{text}#{text}")


@pytest.mark.parametrize(
    "url",
    ["http://me:hunter2@host", "http://me:hun/ter2@host", "http://me:hun[ter2@host", "http://me:hunter2@ho\u2100st"],
)
def test_an_endpoint_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint_url must") as caught:
        S3Settings(endpoint_url=url)
    assert "ter2" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
