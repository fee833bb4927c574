"""The page on S3Box: its example runs, and each test that its table names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "s3box.md").read_text(encoding="utf-8")


def test_the_example_does_what_the_page_says() -> None:
    [example] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    program = example + "\nprint(manifests, [shard.key.rpartition('/')[0] for shard in box.shards])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\['manifests/[\w-]+_0\.manifest'\] \['data/box/records'\]", done.stdout.strip())


def test_every_row_names_tests_that_exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| Go ")]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`((?:tests/|test_)[\w/.]+)`", row.split("|")[-2])
        assert named, row
        for name in named:
            assert f"def {name}(" in sources or (ROOT / name).is_file(), name
