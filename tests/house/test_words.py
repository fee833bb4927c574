"""Names and phrases that this project once used alone: the words of Beam, boto3 and Kafka Connect have replaced them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).relative_to(ROOT).as_posix()
HISTORY = "CHANGELOG.md"
"""Says which names were before, so it has them."""

NAMES = {
    "BoxSettings": "RunPlan",
    "Cuttings": "Flushed",
    "FireRestsOnce": "FireRemaindersOnce",
    "GroupRests": "GroupRemainders",
    "LeaveWindows": "ReifyWindow",
    "MadeTables": "TableCreation",
    "OddAnswer": "InvalidResponse",
    "OddAnswerError": "InvalidResponseError",
    "Outbox": "InFlightUploads",
    "PackPlan": "RunPlan",
    "REDSHIFT_PARAMETERS": "one name of a setting everywhere",
    "REST_BYTES": "SHUFFLED_BYTES",
    "ShardCutter": "ShardBuilder",
    "SpeechOptions": "ReportingOptions",
    "StreamNaming": "StreamSelector",
    "_FixFirings": "_StabilizePlans",
    "_InOrder": "_OrderByPane",
    "_OWN_PARAMETERS": "one name of a setting everywhere",
    "_all_or_lost": "_poison_on_error",
    "_bring_up": "_create_or_extend",
    "_hand_on": "_flush_remainder",
    "_relieve": "_evict_largest",
    "_spill": "_flush",
    "_stream_of_odd_line": "_route_slowly",
    "_untold": "_unreported",
    "as_flags": "one name of a setting everywhere",
    "early_every": "triggering_frequency",
    "explain_refusal": "diagnose",
    "has_news": "has_unreported_failure",
    "is_fail": "fails_on_bad_record",
    "line_of_text": "to_single_line",
    "make_safe": "configure_or_reject",
    "may_break": "might_violate",
    "raw_of": "original_bytes",
    "rest_bytes": "shuffled_bytes",
    "seal_from": "min_fill_to_seal",
    "told": "note, returned, known",
    "window_each": "into_global_window",
    "write_whole": "write_atomic",
}
PHRASES = {
    "an exact name goes before wildcards": "exact names take precedence",
    "anew": "again",
    "beside": "next to, besides, in addition to",
    "by itself": "alone, on its own",
    "doubled": "duplicated",
    "end well": "succeed",
    "ends well": "succeeds",
    "exclude each other": "are mutually exclusive",
    "give up": "abort, release",
    "given up": "aborted, declared dead",
    "gives up": "aborts, releases",
    "lies there": "exists",
    "stands in": "is described in",
    "that is there": "that exists",
    "what is no": "invalid, not a",
}


def tracked_texts() -> dict[str, str]:
    """Return the text files of the repository; outside of a checkout, where nothing is tracked, the test is skipped."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if name in (HERE, HISTORY) or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            texts[name] = content.decode()
    return texts


@pytest.mark.parametrize("words", [NAMES, PHRASES], ids=["names", "phrases"])
def test_private_words_are_gone(words: dict[str, str]) -> None:
    # a phrase may go on in the next line, behind a comment sign
    parts = (re.escape(word).replace(r"\ ", r"\s+(?:#\s+)?") for word in words)
    pattern = re.compile(rf"\b(?:{'|'.join(parts)})\b")
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}; say {better(words, match[0])}"
        for name, text in tracked_texts().items()
        for match in pattern.finditer(text)
    ]
    assert found == []


def better(words: dict[str, str], found: str) -> str:
    return words[" ".join(found.replace("#", " ").split())]
