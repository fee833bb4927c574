"""The table of features of the older library names a test in each row, and its example runs."""

from __future__ import annotations

import pathlib
import re

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.streamer import S3Uploader, StoreUploader

HERE = pathlib.Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "streamer.md").read_text(encoding="utf-8")


def test_each_row_has_tests_that_exist() -> None:
    rows = TEXT.partition("| there | here |")[2].splitlines()[2:]
    known = set(re.findall(r"^def (test_\w+)", "".join(path.read_text() for path in HERE.glob("test_*.py")), re.M))
    assert len(rows) == 18
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert set(named) <= known, row


def test_the_example_runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_UPLOADER_BUCKET", "box")
    monkeypatch.chdir(tmp_path)
    store = MemoryStore(new_token(12))
    monkeypatch.setattr(S3Uploader, "upload", lambda self, file: StoreUploader(store).upload(file))
    example = re.search(r"```python\n(import os.*?)```", TEXT, re.S)
    assert example is not None
    exec(compile(example[1], "docs/streamer.md", "exec"), {})
    (info,) = store.list()
    assert store.get(info.key) == b'[\n{"page":"/"}\n]\n'
