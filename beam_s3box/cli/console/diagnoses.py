"""What an examination of a store found, for people and as JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from beam_s3box.cli.console.output import say, say_text
from beam_s3box.runs.doctor.examination import Diagnosis
from beam_s3box.runs.doctor.findings import Finding, Verdict

_SIGNS: Final = {Verdict.HOLDS: "ok", Verdict.FAILS: "FAILS", Verdict.UNKNOWN: "?"}
_WIDTH: Final = max(map(len, _SIGNS.values()))


def print_finding(finding: Finding, *, is_quiet: bool) -> None:
    """Print what one probe found."""
    if finding.verdict is not Verdict.HOLDS or not is_quiet:
        say(f"{_SIGNS[finding.verdict]:<{_WIDTH}}  {finding.name}: {finding.detail}")


def print_diagnosis(diagnosis: Diagnosis, *, is_json: bool, is_quiet: bool) -> None:
    """Print which guarantees hold, which options to give, and what is left."""
    if is_json:
        # only ASCII, which every output takes
        say_text(json.dumps(_as_json(diagnosis), indent=2))
        return
    if not is_quiet:
        say(f"guarantees at {diagnosis.destination}:")
    for guarantee, failures in diagnosis.guarantees.items():
        if failures:
            say(f"  no   {guarantee.name}: see {', '.join(finding.name for finding in failures)}")
        elif not is_quiet:
            say(f"  yes  {guarantee.name}")
    if diagnosis.settings:
        say(f"give {' '.join(diagnosis.settings)}: this server does not keep what it is asked for")
    elif not is_quiet:
        say("no option is needed" if diagnosis.is_well else "no option changes that")
    if diagnosis.left_by_others:
        say(f"removed {len(diagnosis.left_by_others):,} objects that a doctor which was killed had left")
    for url in diagnosis.left:
        say(f"left behind, because it could not be deleted: {url}")


def _as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "destination": diagnosis.destination,
        "probes": [{**finding._asdict(), "verdict": finding.verdict.value} for finding in diagnosis.findings],
        "guarantees": [
            {"name": guarantee.name, "holds": not failures, "because_of": [finding.name for finding in failures]}
            for guarantee, failures in diagnosis.guarantees.items()
        ],
        "settings": list(diagnosis.settings),
        "left": list(diagnosis.left),
        "left_by_others": list(diagnosis.left_by_others),
    }
