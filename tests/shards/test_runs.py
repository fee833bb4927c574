"""Run ids and tokens."""

from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.runs import MAX_RUN_ID_BYTES, check_run_id, new_run_id, new_token
from beam_s3box.stores.base import check_key


def test_a_new_run_id_says_when_and_is_its_own() -> None:
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    run_id = new_run_id()
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", run_id)
    started = datetime.datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    assert before <= started <= datetime.datetime.now(datetime.UTC)
    assert len({new_run_id() for _ in range(100)}) == 100


def test_a_new_run_id_may_be_used() -> None:
    run_id = new_run_id()
    assert check_run_id(run_id) == run_id


@pytest.mark.parametrize("characters", [1, 8, 12, 32])
def test_a_token_has_the_length_asked_for(characters: int) -> None:
    assert re.fullmatch(rf"[0-9a-f]{{{characters}}}", new_token(characters))


def test_tokens_differ() -> None:
    assert len({new_token(12) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("run_id", ["a", "2026-11-22", "nightly_1.2", "A" * MAX_RUN_ID_BYTES, "0", "a..b", "x-"])
def test_accepts(run_id: str) -> None:
    assert check_run_id(run_id) == run_id


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        ".",
        "..",
        "-a",
        "_a",
        ".a",
        "a/b",
        "a b",
        "a\n",
        "\na",
        "ä",
        "a%",
        "a~",
        "١",
        "A" * (MAX_RUN_ID_BYTES + 1),
        "{a}",
        None,
        7,
        b"a",
    ],
)
def test_refuses(run_id: object) -> None:
    with pytest.raises(
        ConfigurationError, match=f"run_id=.* must be 1 to {MAX_RUN_ID_BYTES} letters, digits"
    ) as caught:
        check_run_id(run_id)  # type: ignore[arg-type]
    assert repr(run_id) in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("aZ0-_.~/ %\n\u0661ä"), max_size=6))
def test_what_is_accepted_is_one_clean_component_of_a_key(run_id: str) -> None:
    try:
        check_run_id(run_id)
    except ConfigurationError:
        return
    assert check_key(f"runs/{run_id}") == f"runs/{run_id}"
    assert re.fullmatch(r"[A-Za-z0-9._-]+", run_id)
