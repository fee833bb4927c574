"""Start the command `s3box` by `python -m beam_s3box`."""

from __future__ import annotations

import sys

from beam_s3box.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
