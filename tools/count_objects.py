"""Count what one run left, object by object, without any code of beam_s3box: boto3, or for a folder nothing but files.

Reads the run's record, every manifest of the run, every shard in the store and the dead letters. The manifests must
be those that the record says count, where it has an end. Each id must be in exactly one listed shard; a shard must lie
in the window and stream of its manifest, and be as long, as large and of the content that manifest and key say.
Credentials come from where boto3 looks for them. Prints a table; exit code 1 says that something is wrong, and what.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import glob
import gzip
import hashlib
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.count_places import Place, open_place

_MANIFEST = re.compile(
    r"manifests/(?P<run>[^/]+)/(?P<folder>([^/]+/){0,3})((?P<firing>\d{8,})-)?(?P<number>\d{5,})\.manifest"
)
_SHARD = re.compile(
    r"data/(?P<stream>[^/]+/[^/]+)/((?P<window>[^/]+)/)?(?P<run>[^/]+)-[^-/]+-\d{5,}-(?P<digest>[0-9a-f]{12})\.json\.gz"
)
_STREAM_PARTS, _SINGLE_GZIP_MEMBER = 2, 31
_MAX_FAULTS, _MAX_STREAMS = 20, 12


@dataclasses.dataclass(frozen=True)
class Rules:
    """What the run's records are like.

    Attributes:
      id_field: names the field with a record's id.
      time_field: names the field with its time in seconds since 1970, if it is to be compared with its window.
      outside: how many records may lie outside of their window; a job may count them for their arrival.
      times: in how many windows each record is.
      unlisted: whether shards may be there that no manifest lists, as after a failure.
    """

    id_field: str
    time_field: str | None = None
    outside: int = 0
    times: int = 1
    unlisted: bool = False


@dataclasses.dataclass
class Tally:
    """Sums of one stream."""

    windows: set[str] = dataclasses.field(default_factory=set)
    shards: int = 0
    records: int = 0
    raw_bytes: int = 0
    object_bytes: int = 0

    def row(self, name: str) -> str:
        numbers = (len(self.windows), self.shards, self.records, self.raw_bytes, self.object_bytes)
        return f"{name:32.32} " + " ".join(f"{number:>13,}" for number in numbers)


class Count:
    """A run, counted.

    Args:
      place: where it lies.
      run_id: its name; "" where the destination has only one run.
      rules: what its records are like.
    """

    def __init__(self, place: Place, run_id: str, rules: Rules) -> None:
        self.faults: list[str] = []
        self.manifests = self.late_manifests = self.outside = 0
        self._fired: set[tuple[str, str]] = set()
        self.ids: collections.Counter[str] = collections.Counter()
        self.streams: dict[str, Tally] = collections.defaultdict(Tally)
        self._place, self._rules = place, rules
        self._sizes = place.sizes()
        self.run_id = run_id or self._only_run()
        listed: set[str] = set()
        manifests = list(self._matches(_MANIFEST, "manifests/"))
        for key, match in manifests:
            self._count_manifest(key, match, listed)
        self._check_parts(match for _, match in manifests)
        self._check_record({key for key, _ in manifests})
        shards = {key for key, _ in self._matches(_SHARD, "data/")}
        self.unlisted = sorted(shards - listed)
        self.dead_letters = self._read_dead_letters()
        self._check()

    def _only_run(self) -> str:
        runs = {key.split("/")[1] for key in self._sizes if key.startswith("manifests/")}
        if len(runs) != 1:
            raise SystemExit(f"{self._place.root} has manifests of {len(runs)} runs: say which by --run_id")
        return runs.pop()

    def _matches(self, pattern: re.Pattern[str], folder: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Yield the run's keys of a kind; one of another form is a fault."""
        for key in sorted(self._sizes):
            match = pattern.fullmatch(key)
            if match is not None and match["run"] == self.run_id:
                yield key, match
            elif match is None and key.startswith(folder):
                self.faults.append(f"{key}: no key of a run")

    def _count_manifest(self, key: str, match: re.Match[str], listed: set[str]) -> None:
        self.manifests += 1
        try:
            entries = json.loads(self._place.read(key))["entries"]
        except (ValueError, KeyError, TypeError):
            entries = []
        if not entries:
            self.faults.append(f"{key}: no JSON with entries")
        folders = match["folder"].rstrip("/").split("/") if match["folder"] else []
        windows: set[str] = set()
        for entry in entries:
            shard = str(entry.get("url")).removeprefix(self._place.root + "/")
            if shard in listed:
                self.faults.append(f"{key}: {shard} is listed twice")
                continue
            listed.add(shard)
            fault = self._count_shard(shard, entry, folders, windows, has_firings=match["firing"] is not None)
            if fault:
                self.faults.append(f"{key}: {shard}: {fault}")
        if match["firing"] and not int(match["number"]):
            place = match["folder"], ",".join(sorted(windows))
            self.late_manifests += place in self._fired
            self._fired.add(place)

    def _count_shard(
        self, key: str, entry: dict[str, Any], folders: list[str], windows: set[str], *, has_firings: bool
    ) -> str:
        """Add a listed shard; return what is wrong with it, "" for nothing."""
        match = _SHARD.fullmatch(key)
        if match is None or match["run"] != self.run_id:
            return "no shard of this run"
        if key not in self._sizes:
            return "is not there"
        stream, window = match["stream"], match["window"] or ""
        windows.add(window)
        named = [*(stream.split("/") if len(folders) >= _STREAM_PARTS else [])]
        if folders != (named if has_firings else [*named, *filter(None, [window])]) or len(windows) > 1:
            return f"lies in {stream} {window}, its manifest in {'/'.join(folders)}"
        body = self._place.read(key)
        if hashlib.sha256(body).hexdigest()[:12] != match["digest"]:
            return "its bytes are not those of its key"
        try:
            text = _unpack(body)
            records = [json.loads(line) for line in text.splitlines()]
        except (ValueError, zlib.error) as exc:
            return str(exc)
        if not all(isinstance(record, dict) for record in records):
            return "holds something that is not an object"
        if entry.get("mandatory") is not True:
            return "is not mandatory"
        if entry.get("meta") != {"content_length": len(body), "record_count": len(records)}:
            return f"has {len(body)} bytes and {len(records)} records, listed as {entry.get('meta')}"
        self._add(self.streams[stream], window, records, len(text), len(body))
        return ""

    def _add(self, tally: Tally, window: str, records: list[Any], raw_bytes: int, object_bytes: int) -> None:
        tally.windows.add(window)
        tally.shards += 1
        tally.records += len(records)
        tally.raw_bytes += raw_bytes
        tally.object_bytes += object_bytes
        begin, end = _bounds(window)
        for record in records:
            self.ids[str(record.get(self._rules.id_field))] += 1
            moment = record.get(self._rules.time_field) if self._rules.time_field else None
            self.outside += moment is not None and not begin <= moment < end

    def _check_parts(self, manifests: Iterable[re.Match[str]]) -> None:
        """Note firings of which a part is missing, and firings that are missing."""
        parts: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
        firings: dict[str, set[int]] = collections.defaultdict(set)
        for match in manifests:
            parts[match["folder"], match["firing"] or ""].append(int(match["number"]))
            if match["firing"]:
                firings[match["folder"]].add(int(match["firing"]))
        for (folder, firing), found in parts.items():
            if sorted(found) != list(range(len(found))):
                self.faults.append(f"{folder}{firing}: its parts are {sorted(found)}")
        for folder, numbers in firings.items():
            if numbers != set(range(len(numbers))):
                self.faults.append(f"{folder}: its firings are {sorted(numbers)}")

    def _check_record(self, keys: set[str]) -> None:
        """Compare with what the run's own record says; for a run with an end it is the commit."""
        record = json.loads(self._place.read(f"runs/{self.run_id}.json"))
        if not record["bounded"]:
            return
        if record["state"] != "finished":
            self.faults.append(f"the run's record says that it is {record['state']}")
        listed = {row["key"]: row["sha256"] for row in record["manifests"]}
        for key in sorted(keys ^ set(listed)):
            self.faults.append(f"{key}: is {'not in the record' if key in keys else 'in the record, and not there'}")
        for key in sorted(keys & set(listed)):
            if hashlib.sha256(self._place.read(key)).hexdigest() != listed[key]:
                self.faults.append(f"{key}: not the manifest that the run's record lists")

    def _read_dead_letters(self) -> set[str]:
        keys = [key for key in self._sizes if key.startswith(f"dead-letters/{self.run_id}/")]
        lines = (line for key in keys for line in gzip.decompress(self._place.read(key)).splitlines())
        return {letter.get("raw") or letter.get("raw_hex") for letter in map(json.loads, lines)}

    def _check(self) -> None:
        rules = self._rules
        wrong = [name for name, number in self.ids.items() if number != rules.times]
        if wrong:
            self.faults.append(f"{len(wrong)} ids are not there {rules.times} times: {_some(wrong)}")
        if self.outside != rules.outside:
            self.faults.append(f"{self.outside} records lie outside of their window, not {rules.outside}")
        if self.unlisted and not rules.unlisted:
            self.faults.append(f"{len(self.unlisted)} shards are in no manifest: {_some(self.unlisted)}")

    def compare(self, sources: Iterable[Path]) -> int:
        """Compare with the lines that were fed, and return how many these are; those without an id are dead letters."""
        fed: set[str] = set()
        rejected: set[str] = set()
        lines = 0
        for path in sources:
            for line in filter(str.strip, path.read_text().splitlines()):
                lines += 1
                try:
                    fed.add(str(json.loads(line)[self._rules.id_field]))
                except (ValueError, KeyError, TypeError):
                    rejected.add(line)
        for words, names in (
            ("ids that were fed are missing", fed - set(self.ids)),
            ("ids were never fed", set(self.ids) - fed),
            ("rejected lines are no dead letters", rejected - self.dead_letters),
            ("dead letters were fed as records", self.dead_letters - rejected),
        ):
            if names:
                self.faults.append(f"{len(names)} {words}: {_some(sorted(names))}")
        return lines

    def __str__(self) -> str:
        head = f"{'stream':32} {'windows':>13} {'shards':>13} {'records':>13} {'raw bytes':>13} {'object bytes':>13}"
        largest = sorted(self.streams.items(), key=lambda item: -item[1].records)
        rows = [tally.row(name) for name, tally in largest[:_MAX_STREAMS]]
        if largest[_MAX_STREAMS:]:
            rows.append(_sum(largest[_MAX_STREAMS:]).row(f"and {len(largest) - _MAX_STREAMS} more"))
        rows.append(_sum(largest).row(f"all {len(largest)} streams"))
        return "\n".join(
            [
                f"run {self.run_id} below {self._place.root}",
                head,
                *rows,
                f"{self.manifests:,} manifests, {self.late_manifests:,} of them not their window's first; "
                f"{len(self.unlisted):,} shards unlisted; {len(self.dead_letters):,} dead letters",
                f"{len(self.ids):,} ids, {self.ids.total():,} records; {self.outside:,} outside of their window",
            ]
        )


def _sum(tallies: Iterable[tuple[str, Tally]]) -> Tally:
    total = Tally()
    for _, tally in tallies:
        total.windows |= tally.windows
        for name in ("shards", "records", "raw_bytes", "object_bytes"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    return total


def _unpack(body: bytes) -> bytes:
    """Return the text of a gzip file of one member.

    Raises:
      ValueError: it has not exactly one, or its last line no end.
      zlib.error: it is not gzip, or its checksum is wrong.
    """
    unpacker = zlib.decompressobj(_SINGLE_GZIP_MEMBER)
    text = unpacker.decompress(body)
    if not unpacker.eof or unpacker.unused_data or not text.endswith(b"\n"):
        raise ValueError("not one whole gzip member of whole lines")
    return text


def _bounds(window: str) -> tuple[float, float]:
    """Return begin and end in seconds since 1970; all of time for windows that are named otherwise."""
    try:
        begin, end = (datetime.datetime.fromisoformat(part).timestamp() for part in window.split("-"))
    except ValueError:
        return float("-inf"), float("inf")
    return begin, end


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if names[5:] else "")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.count_objects", description="Count what one run left.")
    parser.add_argument("destination", help="s3://bucket/prefix or a folder, as the run was given")
    parser.add_argument("--id_field", required=True, help="field with a record's id")
    parser.add_argument("--run_id", default="", help="default: the only run of the destination")
    parser.add_argument("--source", action="append", default=[], metavar="GLOB", help="JSON lines that were fed")
    parser.add_argument("--time_field", help="field with its time in seconds since 1970, to be in the window")
    parser.add_argument("--outside", type=int, default=0, help="records that are outside of it (default: 0)")
    parser.add_argument("--times", type=int, default=1, help="windows that each record is in (default: 1)")
    parser.add_argument("--may_be_unlisted", action="store_true", help="unlisted shards are no fault")
    parser.add_argument("--endpoint_url", help="of the S3 server (default: Amazon's)")
    parser.add_argument("--region_name", help="default: as boto3 finds it")
    options = parser.parse_args(arguments)
    rules = Rules(options.id_field, options.time_field, options.outside, options.times, options.may_be_unlisted)
    count = Count(open_place(options.destination, options.endpoint_url, options.region_name), options.run_id, rules)
    print(count)
    if options.source:
        fed = count.compare(Path(path) for pattern in options.source for path in glob.glob(pattern))
        print(f"{fed:,} lines were fed")
    more = len(count.faults) - _MAX_FAULTS
    print("\n".join([*count.faults[:_MAX_FAULTS], *([f"and {more} more faults"] if more > 0 else [])]) or "no fault")
    return 1 if count.faults else 0


if __name__ == "__main__":
    sys.exit(main())
