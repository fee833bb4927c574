"""The dead letters of a run by file and reason, and which of them stand in the files twice.

A runner that does a bundle again writes its dead letters again, under another name, and the run's record counts them
once. Such repeats are known by the line of the input that they come from, or by the content of their file.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from beam_s3box.engine.run_reader import Run
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.runs.redrive.letters import StoredLetter, read_letters
from beam_s3box.runs.redrive.selections import Pair
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

_READERS: Final = 8
_IDENTITY_BYTES: Final = 16


@dataclasses.dataclass(frozen=True)
class Census:
    """Numbers of the dead letters of a run.

    Attributes:
      files: keys of the files, in order.
      stored: how many stand in each file for each reason.
      counted: how many of each reason the run counted; None if nobody knows, as of a stream.
    """

    files: tuple[str, ...]
    stored: Mapping[Pair, int]
    counted: Mapping[str, int] | None

    @classmethod
    def of(cls, run: Run) -> Census:
        """Count the dead letters of a run.

        Raises:
          S3BoxError: a file is damaged.
          StoreError: the store refused or failed, after its retries.
        """
        files = sorted(info.key for info in run.dead_letter_files())
        threads = Threads(_READERS, "beam_s3box-redrive")
        counts = threads.map(functools.partial(_count, run.store), files)
        stored = {
            (file, reason): number
            for file, reasons in zip(files, counts, strict=True)
            for reason, number in reasons.items()
        }
        known = run.record.bounded and run.record.input is not None
        counted = {one.reason: one.records for one in run.record.input.reasons} if known and run.record.input else None
        return cls(tuple(files), stored, counted)

    @functools.cached_property
    def reasons(self) -> dict[str, int]:
        """How many stand in the files for each reason."""
        totals: collections.Counter[str] = collections.Counter()
        for (_, reason), number in self.stored.items():
            totals[reason] += number
        return dict(sorted(totals.items()))

    def pairs(self, reasons: Iterable[str] | None) -> list[Pair]:
        """Return the pairs of files and these reasons, or all.

        Raises:
          ConfigurationError: the run has no dead letters of a reason; names those that it has.
        """
        wanted = None if reasons is None else set(reasons)
        for reason in sorted((wanted or set()) - set(self.reasons)):
            there = ", ".join(f"{name} ({number:,})" for name, number in self.reasons.items()) or "none at all"
            raise ConfigurationError(f"reason={reason!r}: the run has no dead letters of this reason; it has {there}")
        return [pair for pair in self.stored if wanted is None or pair[1] in wanted]

    def has_repeats(self, reason: str) -> bool:
        """Return whether dead letters of a reason may stand in the files twice."""
        return self.counted is None or self.reasons.get(reason, 0) != self.counted.get(reason, 0)


def once(letters: Iterable[StoredLetter], census: Census) -> Iterator[StoredLetter]:
    """Yield each dead letter once, also those that stand in the files twice.

    Args:
      letters: of files in their order.
      census: of all dead letters of the run.
    """
    seen: set[bytes] = set()
    repeated = _repeated_files(census) if census.counted is not None else frozenset()
    for stored in letters:
        if census.has_repeats(stored.letter.reason):
            identity = _identity_of(stored)
            if identity is None:
                if stored.key in repeated:
                    continue
            elif identity in seen:
                continue
            else:
                seen.add(identity)
        yield stored


def read_pairs(store: Store, census: Census, pairs: Collection[Pair]) -> Iterator[StoredLetter]:
    """Yield the dead letters of some pairs, file by file.

    Raises:
      S3BoxError: a file is damaged.
      StoreError: it can't be read.
    """
    wanted = _by_file(pairs)
    for file in census.files:
        reasons = wanted.get(file)
        if reasons:
            yield from (stored for stored in read_letters(store, file) if stored.letter.reason in reasons)


def check_numbers(run: Run, census: Census, reasons: Iterable[str] | None) -> None:
    """Raise S3BoxError unless the files hold as many dead letters as the run has counted, each once.

    Args:
      run: that has the dead letters.
      census: of them.
      reasons: that are checked, None for all.
    """
    if census.counted is None:
        return
    checked = {*census.counted, *census.reasons} if reasons is None else reasons
    wrong = {reason for reason in checked if census.has_repeats(reason)}
    if not wrong:
        return
    letters = read_pairs(run.store, census, [pair for pair in census.stored if pair[1] in wrong])
    found = collections.Counter(stored.letter.reason for stored in once(letters, census))
    for reason in sorted(wrong):
        number, counted = found[reason], census.counted.get(reason, 0)
        if number != counted:
            cause = (
                "files were removed"
                if number < counted
                else "the runner did work again, and nobody knows which are repeats, as they name no file and line"
            )
            raise S3BoxError(
                f"run {run.run_id} counted {counted:,} dead letters {reason}, and "
                f"{run.store.url(run.layout.dead_letter_folder)} holds {number:,}: {cause}; mismatch='ignore' writes "
                "those that are there"
            )


def _by_file(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    reasons: dict[str, set[str]] = {}
    for file, reason in pairs:
        reasons.setdefault(file, set()).add(reason)
    return reasons


def _count(store: Store, key: str) -> collections.Counter[str]:
    return collections.Counter(stored.letter.reason for stored in read_letters(store, key))


def _identity_of(stored: StoredLetter) -> bytes | None:
    """Return a digest of the line of the input that a dead letter is; None if nobody knows it."""
    letter = stored.letter
    if not stored.is_placed:
        return None
    digest = hashlib.blake2b(digest_size=_IDENTITY_BYTES)
    for part in (letter.source, letter.line, letter.offset, letter.reason):
        digest.update(f"{part}\0".encode("utf-8", "backslashreplace"))
    digest.update(letter.raw)
    return digest.digest()


def _repeated_files(census: Census) -> frozenset[str]:
    """Return the files that hold what an earlier one does: the same number and digest, of another origin."""
    seen: set[str] = set()
    repeated: set[str] = set()
    for file in census.files:
        _, _, content = file.rpartition("/")[2].partition("-")
        if content in seen:
            repeated.add(file)
        seen.add(content)
    return frozenset(repeated)
