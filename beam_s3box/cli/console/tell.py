"""Older names of what `summary` has."""

from __future__ import annotations

from beam_s3box.cli.console.summary import fail_with as end

__all__ = ["end"]
