"""Compares what a run lists with its input: each record is listed or a dead letter, once, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias

from beam_s3box.engine.run_reader import Run
from beam_s3box.metrics import RECORDS_IN, MemoryMetrics, Metrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.streams import Stream
from beam_s3box.runs.verify.dead_letters import read_dead_letters
from beam_s3box.runs.verify.in_order import in_order
from beam_s3box.runs.verify.multisets import Balance, Buckets, Difference, Sums, lines_of
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.runs.verify.shard_check import Stated, TakeShard
from beam_s3box.system.threads import Threads

Part: TypeAlias = Callable[[], Iterable[LineBatch | RejectedRow]]
"""Reads a part of the input from its beginning, each time that it is called."""

_SHOWN: Final = 10
"""Records of each kind that are shown."""

_Add: TypeAlias = Callable[[Sequence[bytes], str, str], object]
"""Takes records of a group, and where they are."""


class Source(Protocol):
    """The input of a run, that can be read more than once."""

    def parts(self) -> Iterator[Part]:
        """Yield what reads it, in parts of bounded size."""
        ...

    def router(self) -> Router:
        """Return what turns records into lines by stream, as the run did; for one thread."""
        ...


class _Multisets:
    """What is listed, or what came in.

    Attributes:
      records: that were packed.
      letters: that were rejected.
    """

    def __init__(self) -> None:
        self.records = Sums()
        self.letters = Sums()


class SourceCheck:
    """Adds up hashes of what a run lists while that is checked, and then of its input.

    Args:
      run: the run.
      source: its input.
      by_stream: whether a record must be in its own stream; not if the names of streams are unknown.
    """

    def __init__(self, run: Run, source: Source, *, by_stream: bool) -> None:
        self._run = run
        self._source = source
        self._by_stream = by_stream
        self._listed = _Multisets()
        self._came = _Multisets()

    def take(self, stated: Stated) -> Callable[[Any], object]:
        """Return what takes the records of a shard; see `TakeShard`."""
        group = self._group_of(stated)
        return lambda text: self._listed.records.add(lines_of(text), group)

    def take_letters(self, letters: list[bytes]) -> None:
        """Take dead letters."""
        self._listed.letters.add(letters)

    def compare(
        self, problems: Problems, threads: Threads, read_again: Callable[[TakeShard], object], counts: Metrics
    ) -> int:
        """Read the input, compare, and return how many records it has.

        Args:
          problems: takes what is wrong.
          threads: read the input.
          read_again: reads all shards of the run again, and gives their records to a function.
          counts: take the number of records.

        Raises:
          ConfigurationError: the input can't be read.
          StoreError: it can't be read.
        """
        self._read(threads, counts, self._came.records.add, self._came.letters.add)
        records = self._came.records.differing(self._listed.records)
        if not records.are_equal:
            self._find_records(records, problems, threads, read_again)
        letters = self._came.letters.differing(self._listed.letters)
        if not letters.are_equal:
            self._find_letters(letters, problems, threads)
        return self._came.records.records + self._came.letters.records

    def _find_records(
        self, buckets: Buckets, problems: Problems, threads: Threads, read_again: Callable[[TakeShard], object]
    ) -> None:
        balance = Balance(buckets)
        self._read(threads, MemoryMetrics(), balance.add_first, _forget)

        def take(stated: Stated) -> Callable[[Any], object]:
            group, url = self._group_of(stated), self._run.store.url(stated.key)
            return lambda text: balance.add_second(lines_of(text), group, url)

        read_again(take)
        found = balance.differences()
        missing = [one for one in found if one.times > 0]
        url = self._run.store.url(self._run.layout.run)
        _report(problems, url, missing, "of the source are not listed", "is not listed", buckets)
        extra = [one for one in found if one.times < 0]
        _report(problems, url, extra, "are listed and not in the source", "is not in the source", buckets)

    def _find_letters(self, buckets: Buckets, problems: Problems, threads: Threads) -> None:
        balance = Balance(buckets)
        self._read(threads, MemoryMetrics(), _forget, balance.add_first)
        read_dead_letters(self._run, threads, balance.add_second)
        found = balance.differences()
        missing = [one for one in found if one.times > 0]
        url = self._run.store.url(self._run.layout.dead_letter_folder)
        _report(problems, url, missing, "of the source are rejected and no dead letters", "is no dead letter", buckets)
        # bundles that were done again have written theirs again
        extra = [one for one in found if one.times < 0 and not one.is_in_first]
        _report(problems, url, extra, "are dead letters, and not rejected of the source", "is no bad record", buckets)

    def _read(self, threads: Threads, counts: Metrics, take: _Add, take_letters: _Add) -> None:
        """Read the input, and give what is packed and what is rejected to functions."""

        def read(part: Part) -> None:
            router = self._source.router()
            for batch in part():
                if isinstance(batch, RejectedRow):
                    routed = router.route(batch)
                    groups: dict[Stream, list[bytes]] = {}
                    rejected: Sequence[RejectedRecord] = [routed] if isinstance(routed, RejectedRecord) else []
                    records = 1
                else:
                    groups, rejected = router.route_lines(batch.lines)
                    records = len(batch.lines)
                for stream, lines in groups.items():
                    take(lines, self._name(*stream), batch.source)
                if rejected:
                    take_letters([one.raw for one in rejected], "", batch.source)
                counts.count(RECORDS_IN, records)

        for _ in in_order(threads, read, self._source.parts()):
            pass

    def _group_of(self, stated: Stated) -> str:
        return self._name(*stated.row.shard.stream) if stated.row is not None else ""

    def _name(self, domain: str, namespace: str) -> str:
        return f"{domain}\0{namespace}" if self._by_stream else ""


def _report(problems: Problems, url: str, found: Sequence[Difference], what: str, fault: str, buckets: Buckets) -> None:
    """Add how many records differ, and the first of them."""
    if not found:
        return
    # of very many only a part is looked at
    part = len(buckets.numbers) / buckets.all
    least = "" if part == 1 else f"at least, having looked at {part:.0%} of what differs, "
    problems.add(url, f"{least}{sum(abs(one.times) for one in found):,} records {what}")
    for one in found[:_SHOWN]:
        times = "" if abs(one.times) == 1 else f", {abs(one.times):,} times"
        stream = f" of {one.group.replace(chr(0), '/')}" if one.group else ""
        problems.add(one.where or url, f"has a record{stream} that {fault}{times}: {one.record!r}")


def _forget(records: Sequence[bytes], group: str, where: str) -> None:
    """Take records, and do nothing with them."""
