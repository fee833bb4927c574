"""Checks the files of dead letters: each whole, and together as many as the record says."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from beam_s3box.engine.run_reader import Run, find_run
from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.runs.verify.in_order import in_order
from beam_s3box.runs.verify.json_contents import DamagedShardError, read_json
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.stores import ObjectInfo, Store
from beam_s3box.stores.stored import read_stored
from beam_s3box.system.threads import Threads

TakeLetters = Callable[[list[bytes]], object]
"""Is given the raw bytes of dead letters."""

_COMPACTION: Final = "compact"
_NAME: Final = re.compile(r".*-(?P<digest>[0-9a-f]{12})\.json\.gz", re.ASCII | re.DOTALL)


class _Letter(msgspec.Struct, gc=False):
    """What is read of a dead letter."""

    reason: str
    raw: str | None = None
    raw_hex: str | None = None

    @property
    def content(self) -> bytes:
        """The record's own bytes."""
        return bytes.fromhex(self.raw_hex) if self.raw_hex is not None else (self.raw or "").encode("utf-8")


_DECODER: Final = msgspec.json.Decoder(_Letter)


def _ignore(letters: list[bytes]) -> None:
    """Take dead letters, and do nothing with them."""


class LettersOfFile(NamedTuple):
    """What a file of dead letters holds.

    Attributes:
      key: its key.
      reasons: the number of dead letters by reason.
      fault: what is wrong with it; "" if nothing is.
    """

    key: str
    reasons: collections.Counter[str]
    fault: str = ""


def check_dead_letters(run: Run, threads: Threads, problems: Problems) -> int:
    """Check the files of dead letters of a run, and return how many they hold.

    Bundles that were done again have written theirs again: there may be more than the record says, and never fewer.

    Raises:
      StoreError: a file can't be read.
    """
    reasons: collections.Counter[str] = collections.Counter()
    for file in _files(run, threads, _ignore):
        reasons += file.reasons
        if file.fault:
            problems.add(run.store.url(file.key), file.fault)
    record = run.record
    if record.input is None or record.state != "finished":
        return reasons.total()
    url = run.store.url(run.layout.dead_letter_folder)
    for reason in record.input.reasons:
        if reasons[reason.reason] < reason.records:
            problems.add(
                url,
                f"holds {reasons[reason.reason]:,} dead letters with the reason {reason.reason}, and the run had "
                f"{reason.records:,}",
            )
    if reasons.total() < record.input.rejected:
        problems.add(
            url, f"holds {reasons.total():,} dead letters, and the run rejected {record.input.rejected:,} records"
        )
    return reasons.total()


def read_dead_letters(run: Run, threads: Threads, take: TakeLetters) -> None:
    """Give the dead letters of a run to a function; of a compaction, those of the run that it has compacted.

    Raises:
      StoreError: a file can't be read.
    """
    for _ in _files(run_of_input(run), threads, take):
        pass


def run_of_input(run: Run) -> Run:
    """Return the run that has read the input: of a compaction the one that it has compacted, and else the run itself.

    Raises:
      ConfigurationError: its record does not exist any more.
      StoreError: it can't be read.
    """
    while run.record.kind == _COMPACTION and run.record.parent:
        run = find_run(run.store, run.record.parent)
    return run


def _files(run: Run, threads: Threads, take: TakeLetters) -> Iterator[LettersOfFile]:
    return in_order(threads, lambda info: _read(run.store, info, take), run.dead_letter_files(), _size_of)


def _size_of(info: ObjectInfo) -> int:
    return info.size


def _read(store: Store, info: ObjectInfo, take: TakeLetters) -> LettersOfFile:
    reasons: collections.Counter[str] = collections.Counter()

    def note(text: bytes) -> None:
        letters = _DECODER.decode_lines(text)
        reasons.update(letter.reason for letter in letters)
        take([letter.content for letter in letters])

    try:
        stored = read_stored(store, info.key)
    except ObjectNotFoundError:
        return LettersOfFile(info.key, reasons, "was removed while it was checked")
    name = _NAME.fullmatch(info.key)
    if name is None:
        return LettersOfFile(info.key, reasons, "is not a file of dead letters")
    if not stored.sha256.startswith(name["digest"]):
        return LettersOfFile(
            info.key, reasons, f"has the SHA-256 {stored.sha256}, which is not the one in its key: it was changed"
        )
    try:
        read_json(stored.body, note)
    except (DamagedShardError, msgspec.MsgspecError, ValueError) as exc:
        return LettersOfFile(info.key, reasons, f"is damaged: {exc}")
    return LettersOfFile(info.key, reasons)
