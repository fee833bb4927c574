"""The function of the user's that mends dead letters: found by file and name, and named where it can't be."""

from __future__ import annotations

import pathlib

import pytest

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.errors import ConfigurationError
from beam_s3box.runs.redrive.fix import NO_FIX, load_fix

LETTER = DeadLetter("d", None, "missing-stream", "no field", b'{"a": 1}', "in.jsonl", 7)


def test_a_function_of_a_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "fix.py"
    path.write_text(
        "import dataclasses\n\n@dataclasses.dataclass\nclass R:\n    a: int\n\ndef fix(letter):\n    return R(letter.line)"
    )
    fix = load_fix(f"{path}:fix")
    assert (fix.changes, fix.apply(LETTER)) == (True, b'{"a":7}')
    assert (NO_FIX.changes, NO_FIX.apply(LETTER)) == (False, LETTER.raw)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "fix.py", "must be FILE.py:function, as fix.py:fix"),
        ("", "fix.txt:fix", "must be FILE.py:function"),
        ("", "fix.py:1", "must be FILE.py:function"),
        (None, "fix.py:fix", "there is no file"),
        ("x = 1", "fix.py:fix", "has no function 'fix'"),
        ("fix = 1", "fix.py:fix", "has no function 'fix'"),
        ("1 / 0", "fix.py:fix", "raised ZeroDivisionError: division by zero"),
        ("def fix(:", "fix.py:fix", "raised SyntaxError"),
    ],
)
def test_what_is_no_function_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str | None, place: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "fix.py").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_fix(place)
    assert message in str(caught.value)
    assert f"map={place!r}" in str(caught.value)
