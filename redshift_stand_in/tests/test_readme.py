"""The examples of README.md run as they are written there."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import redshift_stand_in

PACKAGE = pathlib.Path(redshift_stand_in.__file__).parent
PAGE = (PACKAGE / "README.md").read_text(encoding="utf-8")
[EXAMPLE] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_runs(s3_server: Any) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {
        **inherited,
        "PYTHONPATH": str(PACKAGE.parent),
        "AWS_ENDPOINT_URL_S3": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.admin.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.admin.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = subprocess.run([sys.executable, "-c", EXAMPLE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "([1, 'one'],)\n"


def test_every_option_and_variable_of_the_command_is_told() -> None:
    command = [sys.executable, "-m", PACKAGE.name, "--help"]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    shown = re.findall(r"--[a-z0-9-]+|AWS_\w+", done.stdout)
    assert {name for name in shown if name != "--help" and name not in PAGE} == set()
