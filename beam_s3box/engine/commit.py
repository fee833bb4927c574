"""What counts from now on, for those who wait for it: a bounded run, or one manifest of an unbounded one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from beam_s3box.checks import wrong_type
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import NotifyError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import Size
from beam_s3box.sizes import counted_text
from beam_s3box.stores import Store


class Commit(NamedTuple):
    """What counts from now on.

    Attributes:
      type: "run" for a bounded run, which counts as a whole; "manifest" for a manifest of an unbounded one.
      run_id: the name of the run.
      url: of the run's record, or of the manifest.
      destination: the URL that the run writes to.
      records, shards, raw_bytes, object_bytes: of the run, or of the manifest.
      manifests: of the run, or this one.
      dead_letters: records of the run that could not be packed; None where nobody knows it yet.
    """

    type: Literal["run", "manifest"]
    run_id: str
    url: str
    destination: str
    records: int
    shards: int
    raw_bytes: int
    object_bytes: int
    manifests: tuple[Manifest, ...] = ()
    dead_letters: int | None = None

    def to_json(self) -> bytes:
        """Return it as JSON: of a run without its manifests, which its record lists; their number is there."""
        values: dict[str, Any] = self._asdict()
        values["manifests"] = len(self.manifests)
        if self.type == "manifest":
            [manifest] = self.manifests
            for name in ("domain", "namespace", "window", "pane", "sha256"):
                values[name] = getattr(manifest, name)
        return orjson.dumps(values)


OnCommit: TypeAlias = Callable[[Commit], object]


def check_on_commit(function: object) -> None:
    """Raise ConfigurationError for what can't be called."""
    if function is not None and not callable(function):
        raise wrong_type("on_commit", function, "a function that takes a Commit", "on_commit=print")


def commit_of_run(
    store: Store,
    layout: Layout,
    manifests: Sequence[Manifest],
    size: Size,
    shards: int,
    dead_letters: int | None = None,
) -> Commit:
    """Return the commit of a bounded run that has finished."""
    return Commit(
        "run",
        layout.run_id,
        store.url(layout.run),
        store.root,
        size.records,
        shards,
        size.raw_bytes,
        size.object_bytes,
        tuple(manifests),
        dead_letters,
    )


def commit_of_record(store: Store, record: RunRecord) -> Commit:
    """Return the commit of a run that finished before."""
    letters = None if record.input is None else record.input.rejected
    return commit_of_run(store, Layout(record.run_id), record.manifests, record.size, record.shards, letters)


def commit_of_manifest(store: Store, run_id: str, manifest: Manifest) -> Commit:
    """Return the commit of a manifest of an unbounded run."""
    return Commit(
        "manifest",
        run_id,
        manifest.url,
        store.root,
        manifest.records,
        manifest.shards,
        manifest.raw_bytes,
        manifest.object_bytes,
        (manifest,),
    )


def announce(on_commit: OnCommit | None, commit: Commit) -> None:
    """Call the user's function, if there is one.

    Raises:
      NotifyError: it failed; says what counts all the same.
    """
    if on_commit is None:
        return
    try:
        on_commit(commit)
    except Exception as exc:
        what = f"run {commit.run_id}" if commit.type == "run" else "a manifest"
        why = str(exc) if isinstance(exc, NotifyError) else f"on_commit raised {type(exc).__name__}: {exc}"
        raise NotifyError(
            f"{what} is committed, {commit.url} with {counted_text(commit.records, 'record')} in "
            f"{counted_text(commit.shards, 'shard')}, and counts, but {why}"
        ) from exc
