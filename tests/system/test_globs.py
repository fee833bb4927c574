"""Patterns mean the same for files and for keys; exact names take precedence over wildcards."""

from __future__ import annotations

import os
import pathlib
import re

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.system.globs import Glob, local_matches, no_match


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("in/*", ["in/a", "in/.b"], ["in/a/b", "in", "other/a"]),
        ("in/**", ["in/a", "in/a/b", "in//a"], ["in", "inn/a"]),
        ("in/**/a", ["in/a", "in/x/a", "in/x/y/a"], ["in/xa", "a"]),
        ("in/**.j", ["in/a.j", "in/x/a.j"], ["in/a.jj"]),
        ("in/?.j", ["in/a.j"], ["in/.j", "in/ab.j", "in//.j"]),
        ("in/[ab]*", ["in/a", "in/bc"], ["in/c"]),
        ("in/[!ab]", ["in/c"], ["in/a", "in//"]),
        ("in/[a-c]", ["in/b"], ["in/d"]),
        ("in/[[]1]", ["in/[1]"], ["in/1"]),
        ("in/[^a]", ["in/^", "in/a"], ["in/b"]),
        ("in/[", ["in/["], ["in/"]),
        ("in/{a}+(b).j", ["in/{a}+(b).j"], ["in/a"]),
        ("in/dt=*/x\n*", ["in/dt=1/x\ny"], ["in/dt=1/xy"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = Glob.of(pattern).matcher().fullmatch
    assert [name for name in [*matching, *others] if matches(name)] == matching


@pytest.mark.parametrize("mark", ["**", "*/*", "*"])
def test_what_holds_no_data_is_hidden(mark: str) -> None:
    glob = Glob.of(f"_in/{mark}")
    names = ["_SUCCESS", ".a.jsonl.crc", "a.crc", "_metadata", "x/_common_metadata", "_temporary/a", "x/", "a_$folder$"]
    assert [name for name in names if not glob.hides(f"_in/{name}")] == []
    assert not any(glob.hides(f"_in/{name}") for name in ["a", "_day=1/a", "x_y/a.b", "x//a"])


def test_what_is_asked_for_is_not_hidden() -> None:
    assert not Glob.of("in/_*").hides("in/_events")
    assert not Glob.of("in/*/_logs/*").hides("in/a/_logs/b")
    assert Glob.of("in/_*").hides("in/_events/.b")


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    for name in ("a.jsonl", "[1].jsonl", "1.jsonl", "*.jsonl", "deep/b.jsonl", "deep/er/c.jsonl", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    os.symlink(tmp_path, tmp_path / "deep" / "loop")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_of_the_current_folder_and_below(folder: pathlib.Path) -> None:
    assert sorted(local_matches("?.jsonl")) == ["*.jsonl", "1.jsonl", "a.jsonl"]
    assert sorted(local_matches("**/*.jsonl")) == sorted(
        ["*.jsonl", "1.jsonl", "[1].jsonl", "a.jsonl", "deep/b.jsonl", "deep/er/c.jsonl"]
    )
    assert sorted(local_matches(f"{folder}/deep/**")) == [f"{folder}/deep/b.jsonl", f"{folder}/deep/er/c.jsonl"]
    assert sorted(local_matches("./deep/*/c.jsonl")) == ["./deep/er/c.jsonl"]
    assert list(local_matches(".hid*")) == [".hidden"]
    assert list(local_matches("none/**")) == []


def test_empty_parts_of_a_path_mean_nothing_to_a_file_system(folder: pathlib.Path) -> None:
    """As where a shell's variable ends with a slash: "$DIR/*"."""
    for pattern in ("deep//*", "deep//**"):
        found = sorted(local_matches(pattern))
        assert found == ["deep//b.jsonl"] + ["deep//er/c.jsonl"] * pattern.endswith("**")
        assert not any(map(Glob.of(pattern).hides, found))
    assert list(local_matches(f"{folder}///deep/*//c.jsonl")) == [f"{folder}///deep/er/c.jsonl"]


def test_a_range_that_ends_before_it_begins_is_named(folder: pathlib.Path) -> None:
    for pattern in ("[z-a].jsonl", "deep/**/x[9-0]"):
        with pytest.raises(ConfigurationError, match=re.escape(f"input={pattern!r} has a range in [...] that ends")):
            list(local_matches(pattern))


def test_a_path_that_is_there_is_no_pattern(folder: pathlib.Path) -> None:
    assert list(local_matches("[1].jsonl")) == ["[1].jsonl"]
    assert list(local_matches("*.jsonl")) == ["*.jsonl"]
    assert list(local_matches("deep")) == []


def test_a_folder_has_a_hint() -> None:
    assert str(no_match("in/", is_folder=True)) == "input='in/' is a folder: did you mean 'in/*', or 'in/**'?"
    assert "matches no file" in str(no_match("in/*", is_folder=False))
