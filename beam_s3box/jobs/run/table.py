"""The table of a finished run: every command line's."""

from __future__ import annotations

from beam_s3box.cli.console.table import balance_line, render_table

__all__ = ["balance_line", "render_table"]
