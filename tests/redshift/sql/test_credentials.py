"""A secret is never shown, and a statement with keys can be shown without them."""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
import time
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift import Secret, copy_sql, mask_sql
from beam_s3box.redshift.sql.credentials import MASK
from beam_s3box.stores import Credentials

TEXT = "hunter2-and-more"


@dataclasses.dataclass(frozen=True)
class Holder:
    password: Secret


def test_only_reveal_tells() -> None:
    secret = Secret(TEXT)
    shown = [
        str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", f"{secret:40}", " ".join(map(format, [secret])),
        repr([secret]), repr({"a": secret}), repr(Holder(secret)), str(dataclasses.asdict(Holder("x"))),  # type: ignore[arg-type]
    ]  # fmt: skip
    assert not any(TEXT in text for text in shown)
    assert MASK in str(secret)
    assert secret.reveal() == TEXT


def test_it_is_masked_in_logs_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("x").error("failed for %s", Secret(TEXT))
    assert TEXT not in caplog.text
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(Secret(TEXT))
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert TEXT not in "".join(lines)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_never_pickled_nor_copied(protocol: int) -> None:
    for thing in (Secret(TEXT), [Secret(TEXT)], Holder(Secret(TEXT))):
        with pytest.raises(ConfigurationError, match="can't be pickled with a pipeline"):
            pickle.dumps(thing, protocol)
    with pytest.raises(ConfigurationError, match="can't be pickled"):
        copy.deepcopy(Secret(TEXT))


def test_it_has_no_attributes_to_look_through() -> None:
    with pytest.raises(TypeError):
        vars(Secret(TEXT))


def test_secrets_are_compared_by_their_text() -> None:
    assert Secret(TEXT) == Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT), Secret("other")}) == 2


@pytest.mark.parametrize("text", ["", None, 7, b"x"])
def test_what_is_no_secret_is_refused_and_not_shown(text: object) -> None:
    with pytest.raises(ConfigurationError, match="must be a text, and not empty"):
        Secret(text)  # type: ignore[arg-type]


KEY = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map(lambda text: f"QZX{text}")
UNUSUAL = st.lists(
    st.sampled_from(["'", '"', "\\", " ", "é", " SECRET_ACCESS_KEY '", ' SESSION_TOKEN "', "ACCESS_KEY_ID"]),
    min_size=1,
    max_size=6,
).map("".join)


@given(UNUSUAL, UNUSUAL, KEY, KEY, st.none() | KEY)
@example("'", " SESSION_TOKEN ", "QZX1", "QZX2", None)
@example("a", "SESSION_TOKEN ", "QZX1", "QZX2", "QZX3")
def test_no_key_is_left_in_a_masked_statement(name: str, path: str, key: str, secret: str, token: str | None) -> None:
    statement = copy_sql(f"s3://b/k{path}", ("s", name), columns=[name], credentials=Credentials(key, secret, token))
    assert "QZX" not in mask_sql(statement)
    assert "QZX" not in mask_sql(f"can't do \"x: {statement}")


@given(KEY, KEY, st.none() | KEY)
def test_all_but_the_keys_is_shown(key: str, secret: str, token: str | None) -> None:
    columns = ["session_token", "it's", 'od"d', "back\\slash"]
    masked, plain = (
        copy_sql("s3://b/it's", ("s", "t'"), columns=columns, credentials=keys, maxerror=1)
        for keys in (Credentials(key, secret, token), Credentials(MASK, MASK, token and MASK))
    )
    assert mask_sql(masked) == mask_sql(plain) == plain


def test_masks_other_spellings_and_statements_cut_off() -> None:
    keys = f"credentials 'aws_access_key_id={TEXT};aws_secret_access_key={TEXT}'"
    assert mask_sql(f"copy t from 's3://b/k'\n{keys} GZIP") == f"copy t from 's3://b/k'\ncredentials '{MASK}' GZIP"
    assert mask_sql(f"LINE 4: secret_access_key as '{TEXT}") == f"LINE 4: secret_access_key as '{MASK}'"


@pytest.mark.parametrize("end", ["'", '"', "\\'", "'\\", "SECRET_ACCESS_KEY '"])
def test_unusual_texts_take_no_longer(end: str) -> None:
    text = end * 20_001
    begin = time.process_time()
    mask_sql(text)
    assert time.process_time() - begin < 2.0


def test_a_statement_without_keys_stays_as_it_is() -> None:
    statement = copy_sql("s3://b/it's SECRET_ACCESS_KEY", "s.t", columns=["ACCESS_KEY_ID"], iam_role="default")
    assert mask_sql(statement) == statement
