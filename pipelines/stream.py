"""Start the command `s3box stream` in a checkout: `python -m pipelines.stream OPTIONS`."""

from __future__ import annotations

import sys

from beam_s3box.cli.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "stream")
    sys.exit(main())
