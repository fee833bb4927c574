"""How slow work finds out that it is outdated, after it has written the manifests of a firing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, ManifestPlan
from beam_s3box.engine.rollbacks import last_rollback
from beam_s3box.engine.written_manifests import WrittenManifests
from beam_s3box.errors import ObjectChangedError, OutdatedWorkError
from beam_s3box.system import outside

_LOOKS: Final = 30
"""How often it looks at most, while another worker is about to replace something."""
_LOOK_SECONDS: Final = 1.0


def check_not_outdated(
    written: WrittenManifests, before: Lineage, plans: Sequence[ManifestPlan], manifests: Sequence[Manifest]
) -> None:
    """Remove a firing if it, or the one before it, was rewritten after this work had begun.

    If one is about to be, by work that may have looked before these manifests were written, wait until it is. A
    mark alone decides nothing: that work may be outdated too, and another worker may rely on these manifests.

    Args:
      written: what is in the store, seen by this work.
      before: the earlier firings of the same stream or run.
      plans: the plans of the firing.
      manifests: what this work has written, in the same order.

    Raises:
      OutdatedWorkError: it was; what this work has written is removed.
      StoreError: the store refused or failed, after its retries.
    """
    for _ in range(_LOOKS):
        changed = _rewritten(written, before, plans, manifests)
        if changed is not None:
            _retract(written, manifests)
            raise OutdatedWorkError(
                f"{written.store.url(changed)} was rewritten or removed by other work of this run after this work had "
                "begun: this work may be outdated, and what it wrote is removed; the runner retries it"
            )
        if not _is_about_to_be_rewritten(written, before, plans[0], manifests[0]):
            return
        outside.sleep(_LOOK_SECONDS)


def _rewritten(
    written: WrittenManifests, before: Lineage, plans: Sequence[ManifestPlan], manifests: Sequence[Manifest]
) -> str | None:
    """Return the key of a manifest of this firing or the one before that is another one now, or was removed."""
    for row in manifests:
        if not written.stands(row.key, row.sha256):
            return row.key
    if not before.firings or written.stands(before.key, before.sha256):
        return None
    # a loader may remove manifests, too; another worker that removes one has written an earlier one
    is_removed = written.stat(before.key) is None and not _is_written_since(written, plans[0], manifests)
    return None if is_removed else before.key


def _is_about_to_be_rewritten(written: WrittenManifests, before: Lineage, plan: ManifestPlan, own: Manifest) -> bool:
    """Return whether other work has begun to replace this firing, or one before it, by another one."""
    mark = last_rollback(written.store, written.layout, plan.stream)
    if mark is None or written.is_older(mark) or mark.firing > before.firings:
        return False
    known = {before.firings: own.sha256, before.firings - 1: before.sha256}
    if mark.firing in known:
        return mark.sha256 != known[mark.firing]
    return not written.stands(before.key, before.sha256)


def _is_written_since(written: WrittenManifests, plan: ManifestPlan, own: Sequence[Manifest]) -> bool:
    """Return whether other work wrote a manifest of this stream or run after this work had begun."""
    keys = {manifest.key for manifest in own}
    return any(other.info.key not in keys and not written.is_older(other.info) for other in written.in_folder_of(plan))


def _retract(written: WrittenManifests, manifests: Iterable[Manifest]) -> None:
    """Remove the manifests of this outdated firing, unless they have been replaced since."""
    for manifest in manifests:
        info = written.stat(manifest.key)
        if info is not None and written.has_text(info, manifest.sha256):
            with contextlib.suppress(ObjectChangedError):  # another worker has replaced it
                written.store.delete(info.key, if_match=info.etag)
