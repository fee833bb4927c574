"""Start the command `s3box backfill` in a checkout: `python -m pipelines.backfill OPTIONS`."""

from __future__ import annotations

import sys

from beam_s3box.cli.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "backfill")
    sys.exit(main())
