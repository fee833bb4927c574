"""The pages of the documentation, as tests read and run them.

A block of `bash` or `python` is run as it stands, from the top of its page to the end, in one folder with `examples/`. A
block of `text` behind one is what it prints, `…` standing for anything. A block of `toml` is written to the file that its first
line names. A block of `sh` or `py` is for the reader's own machine or program: it is read, not run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tools.seaweedfs import REGION, Server

ROOT = Path(__file__).resolve().parents[1]
RUN = ("bash", "python")
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]+")


class Block(NamedTuple):
    """A fenced block of a page: its language, its text, and where it begins."""

    language: str
    text: str
    where: str


class Page:
    """One page, by its path below the repository.

    Attributes:
      name: that path.
      text: what is in it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (ROOT / name).read_text(encoding="utf-8")

    def blocks(self, *languages: str) -> list[Block]:
        """Return the blocks of these languages, or all."""
        return [
            Block(match[2], match[3], f"{self.name}:{self.text.count(chr(10), 0, match.start()) + 1}")
            for match in _BLOCK.finditer(self.text)
            if not languages or match[2] in languages
        ]

    def block(self, language: str, word: str) -> Block:
        """Return the one block of a language that has the word."""
        [found] = [block for block in self.blocks(language) if word in block.text]
        return found

    def rows(self, head: str) -> list[list[str]]:
        """Return the cells of the one table whose head begins so, without head and rule."""
        [table] = [part for part in re.split(r"\n\s*\n", self.text) if part.strip().startswith(head)]
        return [[cell.strip() for cell in row.strip(" |").split("|")] for row in table.strip().splitlines()[2:]]

    @property
    def options(self) -> set[str]:
        """The options that the page names."""
        return set(_OPTION.findall(self.text))


class Shell:
    """Runs blocks in a folder with the examples, where S3 is a server of the tests.

    Attributes:
      folder: where they run.
      environment: what they find.
    """

    def __init__(self, folder: Path, server: Server, **variables: str) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples", folder / "examples")
        programs = folder / ".programs"
        programs.mkdir()
        (programs / "s3box").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m beam_s3box "$@"\n')
        (programs / "s3box").chmod(0o755)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "REDSHIFT_"))}
        self.environment = clean | {
            "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL_S3": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": server.writer.access_key,
            "AWS_SECRET_ACCESS_KEY": server.writer.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            **variables,
        }

    def run(self, block: Block, timeout: float = 240) -> str:
        """Return what a block prints.

        Raises:
          AssertionError: it fails.
        """
        command = ["bash", "-ec", block.text] if block.language == "bash" else [sys.executable, "-c", block.text]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout
        )
        assert done.returncode == 0, f"{block.where}\n{block.text}\n{done.stdout[-2_000:]}\n{done.stderr[-4_000:]}"
        return done.stdout


def matches(expected: str, printed: str) -> bool:
    """Return whether a block of `text` is what was printed: `…` is anything within a line, and, alone, any lines."""
    lines = ("(?s:.*)" if line == "…" else re.escape(line).replace("…", ".*") for line in expected.strip().splitlines())
    return re.search("\n".join(lines) + "$", printed.strip()) is not None
