"""What is known of all runs below a destination, in little memory, and which of them are over."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from beam_s3box.engine.run_reader import Run, UnreadRun, try_run
from beam_s3box.engine.run_record import STREAMER, State
from beam_s3box.engine.signs_of_life import last_sign
from beam_s3box.shards.key_patterns import ShardKeys
from beam_s3box.shards.keys import DEFAULT_DATA_KEY, Layout
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

Fate = Literal["live", "silent", "dead", "over", "kept"]
"""live: may still list shards. silent: nobody knows. dead: to be marked as failed. over: lists nothing more.
kept: it is over, and another run may list its shards."""

_READERS: Final = 16
_RECORD = re.compile(r"runs/(?P<run_id>[^/]+)\.json")
_UNLISTED: Final = "its record does not name all of its data: {}"
_WHY: Final = {
    STREAMER: "a streamer that continues with its folder may still list its files",
    "S3Box": "the program that made the box may know its shards",
    "": "it is of an earlier version, or of an unbounded run without manifests",
}


@dataclasses.dataclass
class RunState:
    """One run.

    Attributes:
      run_id, bounded, state, kind, parent, attempt: as in its record.
      changed: when the record was written, by the store's clock.
      keys: the keys of its shards.
      shard_lists: the keys of the lists that its record names.
      may_have_unlisted_data: see `RunRecord.may_have_unlisted_data`.
      fate: what it may still do.
      why: the reason, for people.
    """

    run_id: str
    bounded: bool
    state: State
    kind: str
    parent: str | None
    attempt: str
    changed: float
    keys: ShardKeys
    shard_lists: frozenset[str]
    may_have_unlisted_data: bool
    fate: Fate = "live"
    why: str = ""

    @property
    def layout(self) -> Layout:
        """The keys of what it has next to its shards."""
        return Layout(self.run_id)

    @classmethod
    def of(cls, run: Run) -> RunState:
        """Return the state of a run as it was read."""
        record = run.record
        template = str(record.settings.get("key_template") or DEFAULT_DATA_KEY)
        lists = frozenset(shards.key for shards in record.shard_lists)
        return cls(
            record.run_id,
            record.bounded,
            record.state,
            record.kind,
            record.parent,
            record.attempt,
            run.info.modified,
            ShardKeys(template),
            lists,
            record.may_have_unlisted_data,
        )


class RunStates:
    """All runs below a destination.

    Args:
      store: the destination.

    Attributes:
      by_id: the runs.
      unread: runs whose record can't be read, and what is not one.
    """

    def __init__(self, store: Store) -> None:
        self.by_id: dict[str, RunState] = {}
        self.unread: list[UnreadRun] = []
        self._store = store
        self._patterns: dict[str, re.Pattern[str]] = {}
        ids = [match["run_id"] for info in store.list("runs/") if (match := _RECORD.fullmatch(info.key))]
        threads = Threads(_READERS, "beam_s3box-records")
        for found in threads.map_ahead(self._read, ids, 2 * _READERS):
            if isinstance(found, RunState):
                self.by_id[found.run_id] = found
            elif found is not None:
                self.unread.append(found)

    def _read(self, run_id: str) -> RunState | UnreadRun | None:
        found = try_run(self._store, run_id)
        if isinstance(found, UnreadRun):
            return found
        return RunState.of(found) if found is not None and found.run_id == run_id else None

    def __iter__(self) -> Iterator[RunState]:
        return iter(self.by_id.values())

    @functools.cached_property
    def _templates(self) -> list[ShardKeys]:
        found = {state.keys.template: state.keys for state in self}
        return list({DEFAULT_DATA_KEY: ShardKeys(DEFAULT_DATA_KEY), **found}.values())

    @property
    def folders(self) -> list[str]:
        """The folders that shards are in."""
        return sorted({keys.folder for keys in self._templates})

    def owner(self, key: str) -> RunState | None:
        """Return the run that has written a shard with this key, None if none of them can have.

        Where the key can also be that of a run that is not over, that one is the owner.
        """
        for keys in self._templates:
            state = self.by_id.get(keys.run_id(key) or "")
            if state is not None and state.keys.template == keys.template:
                alive = self._alive(keys).fullmatch(key) if state.fate == "over" else None
                return self.by_id.get(alive["run_id"]) if alive else state
        return None

    def _alive(self, keys: ShardKeys) -> re.Pattern[str]:
        """Return the pattern of the keys of runs that are not over; to be asked when all fates are decided."""
        if keys.template not in self._patterns:
            alive = [state.run_id for state in self if state.fate != "over"]
            # nobody knows what those may still list whose record can't be read
            names = map(re.escape, [*alive, *(one.run_id for one in self.unread)])
            self._patterns[keys.template] = keys.pattern("|".join(names) or "(?!)")
        return self._patterns[keys.template]

    def judge(self, now: float, older_than: float, silent: float, fence: float, dead: Iterable[str]) -> None:
        """Decide what each run may still do.

        Args:
          now: the time by the store's clock.
          older_than: seconds after which what a finished run has not listed is garbage.
          silent: seconds without a sign of life after which a run is dead.
          fence: seconds after which every process of an unbounded run knows that the run was marked as failed.
          dead: ids of runs of which the user says that they are dead.
        """
        named, limit = set(dead), now - silent
        quiet = [state for state in self if state.state == "running" and state.changed < limit]
        newest = self._newest({state.run_id for state in quiet if state.run_id not in named})
        for state in self:
            if state.state == "running":
                is_quiet = state.changed < limit and newest.get(state.run_id, 0.0) < limit
                state.fate, state.why = self._fate_of_running(state, limit, is_quiet, state.run_id in named)
            elif state.may_have_unlisted_data and (state.kind != STREAMER or state.run_id not in named or self.unread):
                # of a streamer, the next one on its folder lists what it has left: it may be one of those
                state.fate, state.why = "kept", _why_unlisted(state)
            else:
                ended = {"finished": now - older_than, "failed": now if state.bounded else now - fence}[state.state]
                state.fate = "over" if state.changed <= ended else "live"

    def _fate_of_running(self, state: RunState, limit: float, is_quiet: bool, is_named: bool) -> tuple[Fate, str]:
        if state.may_have_unlisted_data and state.kind != STREAMER:
            return ("silent", _why_unlisted(state)) if is_quiet or is_named else ("live", "")
        if is_named:
            return "dead", "named as dead"
        if not is_quiet:
            return "live", ""
        if state.bounded:
            return "dead", "it has written nothing for so long"
        sign = last_sign(self._store, state.layout)
        if sign is None or state.kind == STREAMER:
            return "silent", "it is unbounded, says `running`, and gives no signs of life"
        return ("dead", "no sign of life for so long") if sign < limit else ("live", "")

    def _newest(self, run_ids: set[str]) -> dict[str, float]:
        """Return when each of these runs wrote last, besides its record."""
        newest: dict[str, float] = {}
        if not run_ids:
            return newest
        for run_id in run_ids:
            layout = Layout(run_id)
            for folder in (layout.manifests(None, "", None), layout.dead_letter_folder, layout.run_folder):
                for info in self._store.list(folder):
                    newest[run_id] = max(newest.get(run_id, 0.0), info.modified)
        for folder in sorted({self.by_id[run_id].keys.folder for run_id in run_ids}):
            for info in self._store.list(folder):
                owner = self.owner(info.key)
                if owner is not None and owner.run_id in run_ids:
                    newest[owner.run_id] = max(newest.get(owner.run_id, 0.0), info.modified)
        return newest


def _why_unlisted(state: RunState) -> str:
    return _UNLISTED.format(_WHY.get(state.kind, _WHY[""]))
