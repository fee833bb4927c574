"""The lineage of an unbounded run's manifests: the number of each firing, and a digest of it and all before it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from beam_s3box.engine.manifests import ManifestPlan, render_manifest


class Lineage(NamedTuple):
    """The firings of a stream or run so far. It is kept in the runner's state, which is rolled back with the runner.

    Attributes:
      firings: the number of firings.
      key, sha256: key and digest of the first manifest of the last firing; "" before the first.
    """

    firings: int = 0
    key: str = ""
    sha256: str = ""

    def number(self, plans: Iterable[ManifestPlan]) -> list[ManifestPlan]:
        """Return the plans of the next firing, with its number and lineage."""
        made = list(plans)
        digest = hashlib.sha256(self.sha256.encode())
        for plan in made:
            digest.update(render_manifest(plan.files))
        return [plan._replace(firing=self.firings, lineage=digest.hexdigest()) for plan in made]

    def after(self, key: str, plan: ManifestPlan) -> Lineage:
        """Return the lineage after a firing, given its first manifest's key and numbered plan."""
        return Lineage(self.firings + 1, key, hashlib.sha256(text_of(plan)).hexdigest())


def text_of(plan: ManifestPlan, url_of: Callable[[str], str] | None = None) -> bytes:
    """Return the text of a manifest; `url_of` returns the URL of a key, for shards that have none."""
    return render_manifest(plan.files, plan.lineage, plan.replaces, url_of)
