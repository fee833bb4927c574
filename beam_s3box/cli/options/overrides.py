"""Options of a write that are as an earlier run had them, unless they are given."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any, Final

from beam_s3box.cli.options.parser import Section, actions_of

_DEFAULT: Final = re.compile(r" ?\(default: .*\)$", re.DOTALL)
_PAIRS: Final = (("domain", "domain_field"), ("namespace", "namespace_field"))
"""Options of which one takes the place of the other."""

_LIMITS: Final = ("limits", "max_object_bytes", "max_raw_bytes", "max_records")


def overrides(section: Section, *left_out: str) -> Section:
    """Return the section with options that have no default.

    Args:
      section: of a command that writes.
      left_out: names of options that are not taken over.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        for action in actions_of(section.add):
            if action.dest not in left_out:
                action.default = None
                action.help = f"{_DEFAULT.sub('', str(action.help))} (default: as the run had it)"
                parser._add_action(action)

    add.__name__ = section.add.__name__
    return Section(section.title, add)


def with_settings(
    given: argparse.Namespace, settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> argparse.Namespace:
    """Return the options, with what is not given as an earlier run had it.

    Args:
      given: the options; None for those that are not given.
      settings: of the earlier run, as its record has them.
      defaults: of options that neither has.
    """
    values = vars(given)
    kept = dict(settings)
    for pair in _PAIRS:
        if any(values[name] is not None for name in pair):
            for name in pair:
                kept.pop(name, None)
    if any(values[name] is not None for name in _LIMITS):
        kept.pop("limits", None)
    merged = {name: defaults.get(name) if value is None else value for name, value in values.items()}
    for name, value in values.items():
        if value is None and kept.get(name) is not None:
            merged[name] = kept[name]
    return argparse.Namespace(**merged)
