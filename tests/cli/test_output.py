"""The run is done, and the words about it can't be printed: the exit code is the run's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = b'{"d":"a","n":"b","i":1}\n'


def run(destination: bytes, environment: dict[str, str], shell: str) -> tuple[int, bytes, list[str]]:
    command = [os.fsencode(sys.executable), b"-m", b"beam_s3box", b"pack", destination, b"--domain=a", b"--namespace=b"]
    reader, gone = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [b"sh", b"-c", f'"$@" {shell}'.encode(), b"sh", *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=LINES,
        stdout=gone,
        stderr=subprocess.PIPE,
        timeout=180,
        check=False,
    )
    os.close(gone)
    found = [name for _, _, names in os.walk(os.fsdecode(destination)) for name in names if name.endswith(".manifest")]
    return done.returncode, done.stderr, found


@pytest.mark.parametrize(
    ("name", "encoding", "shell"),
    [
        ("pfäd", "ascii", ">/dev/null"),
        ("☃", "latin-1", ">/dev/null"),
        ("gone", "utf-8", ""),
        ("full", "utf-8", ">/dev/full"),
        ("closed", "utf-8", ">&- 2>&-"),
        ("both full", "utf-8", ">/dev/full 2>/dev/full"),
    ],
)
def test_what_can_not_be_printed_fails_no_run(tmp_path: Path, name: str, encoding: str, shell: str) -> None:
    code, errors, manifests = run(os.fsencode(tmp_path / name), {"PYTHONIOENCODING": encoding}, shell)
    assert (code, errors, len(manifests)) == (0, b"", 1)


def test_a_folder_that_manifests_can_not_name_is_refused(tmp_path: Path) -> None:
    code, errors, manifests = run(os.fsencode(tmp_path) + b"/\xff", {}, "")
    assert (code, manifests) == (2, [])
    assert b"is not valid UTF-8" in errors
    assert errors.count(b"\n") == 1
