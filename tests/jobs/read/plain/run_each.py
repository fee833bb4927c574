"""Runs the backfill once for each list of options that comes on stdin, in a process of its own; prints how each ended."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile

from beam_s3box.cli.main import main

# imported once for all: that takes most of the time of a small job
from beam_s3box.jobs import backfill  # noqa: F401

# Beam logs while it is imported, for which logging adds a handler; the command imports it with one of its own
logging.getLogger().handlers.clear()


def run(arguments: list[str]) -> dict[str, object]:
    with tempfile.TemporaryFile() as error:
        child = os.fork()
        if child == 0:
            os.dup2(error.fileno(), 2)
            os.dup2(2, 1)
            code = 70
            try:
                code = main(["backfill", *arguments])
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        error.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "error": error.read().decode("utf-8", "replace")}


if __name__ == "__main__":
    print(json.dumps({name: run(arguments) for name, arguments in json.load(sys.stdin).items()}))
