"""Finds the run in the key of a shard: a key that no template of ours makes is not ours."""

from __future__ import annotations

import functools
import re
import string
from typing import Final

from beam_s3box.shards.runs import ORIGIN_CHARACTERS

_ANY: Final = "[A-Za-z0-9][A-Za-z0-9_.-]*"
_FIELDS: Final = {
    "domain": "[^/]+",
    "namespace": "[^/]+",
    "window": "(?:[^/]+/)?",
    "origin": f"[0-9a-f]{{{ORIGIN_CHARACTERS}}}",
    # a format without a leading 0 pads with blanks
    "sequence": r"\ *\d+",
    "digest": "[0-9a-f]{12}",
    "extension": r"\.(?:json\.gz|avro)",
}
_TIME: Final = r"[A-Za-z0-9%=_./-]+"


class ShardKeys:
    """The keys of shards that a template makes.

    Attributes:
      template: see `beam_s3box.shards.keys.DEFAULT_DATA_KEY`.
    """

    def __init__(self, template: str) -> None:
        self.template = template

    @property
    def folder(self) -> str:
        """The constant folder that all of them are in, with a slash."""
        return f"{self.template.partition('/')[0]}/"

    def run_id(self, key: str) -> str | None:
        """Return the run id in the key of a shard, None for a key that the template does not make."""
        match = self._pattern.fullmatch(key)
        return match["run_id"] if match else None

    def pattern(self, run_id: str = _ANY) -> re.Pattern[str]:
        """Return the pattern of the keys of runs whose ids match a pattern."""
        pieces: list[str] = []
        has_run_id = False
        for literal, field, _, _ in string.Formatter().parse(self.template):
            pieces.append(re.escape(literal))
            if field == "run_id":
                pieces.append("(?P=run_id)" if has_run_id else f"(?P<run_id>{run_id})")
                has_run_id = True
            elif field is not None:
                pieces.append(_FIELDS.get(field, _TIME))
        return re.compile("".join(pieces), re.ASCII)

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        return self.pattern()
