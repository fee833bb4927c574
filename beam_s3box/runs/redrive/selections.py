"""Which dead letters of a run which redrive has: `runs/{run_id}/redrives/{number}.json`, a log that only grows.

A selection is pairs of a file of dead letters and a reason; each pair belongs to the first selection that has it.
Selections are numbered, and written create-only: of two redrives that want the same number one is first, and the other
looks again. So each dead letter is written by one run, however many redrives there are and whenever they are killed.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Final, TypeAlias

import orjson

from beam_s3box.engine.run_record import moment_text
from beam_s3box.errors import ObjectExistsError, ObjectNotFoundError, S3BoxError
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import Store
from beam_s3box.stores.base import holds

Pair: TypeAlias = tuple[str, str]
"""The key of a file of dead letters, and a reason."""

_CONTENT_TYPE: Final = "application/json"


@dataclasses.dataclass(frozen=True)
class Selection:
    """Dead letters that one run writes.

    Attributes:
      run_id: of that run.
      files: keys of files, by reason.
      at: when they were selected, in UTC.
    """

    run_id: str
    files: dict[str, tuple[str, ...]]
    at: str = ""

    @functools.cached_property
    def pairs(self) -> frozenset[Pair]:
        """What is selected; some of it may belong to an earlier selection."""
        return frozenset((file, reason) for reason, files in self.files.items() for file in files)

    def render(self) -> bytes:
        """Return its text."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def parse(cls, url: str, body: bytes) -> Selection:
        """Return the selection with this text.

        Raises:
          S3BoxError: the text is none.
        """
        try:
            values = orjson.loads(body)
            files = {reason: tuple(keys) for reason, keys in values["files"].items()}
            return cls(values["run_id"], files, values["at"])
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise S3BoxError(
                f"{url} is not a selection of dead letters ({type(exc).__name__}: {exc}): another program wrote it"
            ) from exc


def read_selections(store: Store, layout: Layout) -> list[Selection]:
    """Return the selections of a run's dead letters, in order.

    Raises:
      S3BoxError: one of them was changed by another program.
      StoreError: the store refused or failed, after its retries.
    """
    found: list[Selection] = []
    while True:
        key = layout.redrive(len(found))
        try:
            found.append(Selection.parse(store.url(key), store.get(key)))
        except ObjectNotFoundError:
            return found


def select(store: Store, layout: Layout, pairs: Collection[Pair], run_id: str, now: float) -> list[Selection]:
    """Select what no selection has yet, and return all selections.

    Args:
      store: where the run is.
      layout: of the run.
      pairs: that are wanted.
      run_id: of the run that shall write them.
      now: seconds since the epoch.

    Raises:
      S3BoxError: a selection was changed by another program.
      StoreError: the store refused or failed, after its retries.
    """
    while True:
        found = read_selections(store, layout)
        left = set(pairs).difference(*(selection.pairs for selection in found))
        if not left:
            return found
        new = Selection(run_id, _by_reason(left), moment_text(now))
        if _write(store, layout.redrive(len(found)), new):
            return [*found, new]


def owned_pairs(selections: Sequence[Selection], number: int) -> frozenset[Pair]:
    """Return the pairs that belong to a selection, and to no earlier one."""
    return selections[number].pairs.difference(*(selection.pairs for selection in selections[:number]))


def _by_reason(pairs: Iterable[Pair]) -> dict[str, tuple[str, ...]]:
    files: dict[str, list[str]] = {}
    for file, reason in sorted(pairs):
        files.setdefault(reason, []).append(file)
    return {reason: tuple(keys) for reason, keys in sorted(files.items())}


def _write(store: Store, key: str, selection: Selection) -> bool:
    """Return whether the selection was written; False if there is another one."""
    body = selection.render()
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        store.put(key, body, sha256=sha256, content_type=_CONTENT_TYPE)
    except ObjectExistsError:
        return holds(store, key, body, sha256)  # the response to an earlier attempt may have been lost
    return True
