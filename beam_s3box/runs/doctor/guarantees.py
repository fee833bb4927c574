"""What we guarantee, and what a store must do for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from beam_s3box.runs.doctor.findings import Finding, Verdict


class Guarantee(NamedTuple):
    """One guarantee of ours.

    Attributes:
      name: what is guaranteed.
      needs: the probes that it depends on; those that a store does not have do not count.
    """

    name: str
    needs: tuple[str, ...]

    def failures(self, findings: Mapping[str, Finding]) -> tuple[Finding, ...]:
        """Return the findings because of which it does not hold, or may not."""
        found = [findings[name] for name in self.needs if name in findings]
        return tuple(finding for finding in found if finding.verdict is not Verdict.HOLDS)


_CREATE: Final = ("create only", "create only, racing")
_REPLACE: Final = ("replace by ETag", "replace by ETag, racing", "ETags")
_SEEN: Final = ("read after write", "read")

GUARANTEES: Final = (
    Guarantee("a run can write", ("write", "read", "names")),
    Guarantee("a run id names one run", (*_CREATE, *_REPLACE, *_SEEN)),
    # a race in parts does not matter: only shards are as large, and no two have the same key
    Guarantee("no shard or manifest overwrites another", (*_CREATE, "create only, in parts")),
    Guarantee(
        "each record of a bounded run is listed once, however often work is done again",
        (*_CREATE, *_REPLACE, *_SEEN, "list", "delete", "list after write"),
    ),
    Guarantee(
        "each record of a stream is listed once, also after the runner went back",
        (*_CREATE, *_REPLACE, *_SEEN, "delete by ETag", "list", "delete", "list after write", "clock"),
    ),
    Guarantee("shards arrive as they were sent", ("checksums", "checksums of parts", "metadata")),
    Guarantee("a large shard appears as a whole or not at all", ("parts", "create only, in parts")),
    Guarantee("nothing of a failed upload stays and is billed", ("parts aborted",)),
    Guarantee(
        "gc and compact remove nothing that has changed", ("delete by ETag", "list", "delete", "list after write")
    ),
)
"""All of them."""

CONDITIONAL_WRITES: Final = "--s3_conditional_writes=false"
CHECKSUMS: Final = "--s3_checksums=false"
NOT_SUPPORTED: Final = "not supported"
"""Begins the detail of a finding of what the server does not know."""


def settings_for(findings: Mapping[str, Finding]) -> tuple[str, ...]:
    """Return the options that suit a store.

    A server that ignores conditions would let everything through; without them the writer looks first. One whose
    conditions hold but for races is better asked for them all the same.
    """
    failed = {name for name, finding in findings.items() if finding.verdict is Verdict.FAILS}
    settings = []
    if failed & {
        "create only",
        "replace by ETag",
        "delete by ETag",
        "create only, in parts",
        "replace by ETag, in parts",
    }:
        settings.append(CONDITIONAL_WRITES)
    if any(name in failed and NOT_SUPPORTED in findings[name].detail for name in ("checksums", "checksums of parts")):
        settings.append(CHECKSUMS)
    return tuple(settings)
