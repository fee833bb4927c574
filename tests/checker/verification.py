"""What one run left, object by object and record by record.

Reads the run's record, its manifests, every shard and the dead letters. The manifests must be those that the record
lists, where the run is bounded. A shard must be listed once, lie in the window and stream of its manifest, and have the
length, record count and content that manifest and key state. Together they must hold the records of the source, one for
one, and the dead letters the other lines.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.checker.places import Place
from tests.checker.source import read_lines

_MANIFEST = re.compile(
    r"manifests/(?P<run>[^/]+)/(?P<folder>([^/]+/){0,3})((?P<firing>\d{8,})-)?(?P<number>\d{5,})\.manifest"
)
_SHARD = re.compile(
    r"data/(?P<stream>[^/]+/[^/]+)/((?P<window>[^/]+)/)?(?P<run>[^/]+)-[^-/]+-\d{5,}-(?P<digest>[0-9a-f]{12})\.json\.gz"
)
_STREAM_PARTS, _SINGLE_GZIP_MEMBER = 2, 31
_MAX_PROBLEMS, _MAX_NAMES = 20, 5


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is known about the run's records.

    Attributes:
      id_field: name of the field that identifies a record; lines without it are dead letters.
      stream_fields: names of the fields for domain and namespace; each folder must have a pair of values of its own.
      time_field: name of the field with a time in seconds since 1970, to be compared with the window.
      outside: number of records outside of their window, such as those that a job assigned by their arrival.
      times: number of windows that each record is in.
      unlisted: whether shards that no manifest lists are accepted, as after a failure.
    """

    id_field: str | None = None
    stream_fields: tuple[str, ...] = ()
    time_field: str | None = None
    outside: int = 0
    times: int = 1
    unlisted: bool = False


class Verification:
    """A run, read and compared.

    Args:
      place: where it is.
      rules: what is known about its records.
      sources: its input, files of JSON lines, gzipped if their names end in `.gz`; None: nothing to compare with.
      run_id: its name; "" if the destination has only one run.

    Attributes:
      problems: what is wrong, a sentence each.
      lines: number of lines of the sources.
      records: number of records in listed shards.
      dead_letters: the lines that were rejected.
      lost: number of records of the sources that are in no listed shard.
      duplicated: number of records that are listed more often than their sources have them.
    """

    def __init__(self, place: Place, rules: Rules, sources: Iterable[Path] | None = None, run_id: str = "") -> None:
        self.problems: list[str] = []
        self.lines = self.records = self.lost = self.duplicated = self._outside = self._raw_bytes = (
            self._object_bytes
        ) = 0
        self._place, self._rules = place, rules
        self._keys = place.keys()
        self._run_id = run_id or self._only_run()
        self._listed: set[str] = set()
        self._windows: set[str] = set()
        self._firings: list[tuple[str, str]] = []
        self._streams: set[tuple[str, str]] = set()
        self._ids: collections.Counter[str] = collections.Counter()
        self._balance: collections.Counter[str] = collections.Counter()
        manifests = dict(self._matches(_MANIFEST, "manifests/"))
        self._manifests = len(manifests)
        for key, match in manifests.items():
            self._read_manifest(key, match)
        self._check_numbers(manifests.values())
        self._check_run_record(set(manifests))
        self._unlisted = {key for key, _ in self._matches(_SHARD, "data/")} - self._listed
        self.dead_letters = self._read_dead_letters()
        self._check_rules()
        if sources is not None:
            self._compare(sources)

    def __str__(self) -> str:
        late = len(self._firings) - len(set(self._firings))
        return "\n".join(
            [
                f"run {self._run_id} below {self._place.root}",
                f"{self._manifests:,} manifests, {late:,} of them not the first of their window; "
                f"{len(self._listed):,} listed shards, {len(self._unlisted):,} unlisted",
                f"{self.records:,} records of {len({stream for stream, _ in self._streams}):,} streams in "
                f"{len(self._windows):,} windows, {self._outside:,} outside of theirs; "
                f"{self._raw_bytes:,} bytes in {self._object_bytes:,}; {len(self.dead_letters):,} dead letters",
                f"{self.lines:,} source lines",
            ]
        )

    def verdict(self) -> str:
        """Return the first problems, a line each."""
        more = len(self.problems) - _MAX_PROBLEMS
        shown = [*self.problems[:_MAX_PROBLEMS], *([f"and {more} more problems"] if more > 0 else [])]
        return "\n".join(shown) or "nothing is wrong"

    def _only_run(self) -> str:
        runs = {key.split("/")[1] for key in self._keys if key.startswith("manifests/")}
        if len(runs) != 1:
            raise SystemExit(f"{self._place.root} has manifests of {len(runs)} runs: name one with --run_id")
        return runs.pop()

    def _matches(self, pattern: re.Pattern[str], folder: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Yield the run's keys of a kind; a key of another form is a problem."""
        for key in sorted(self._keys):
            match = pattern.fullmatch(key)
            if match is not None and match["run"] == self._run_id:
                yield key, match
            elif match is None and key.startswith(folder):
                self.problems.append(f"{key}: not the key of a run")

    def _read_manifest(self, key: str, match: re.Match[str]) -> None:
        try:
            entries = json.loads(self._place.read(key))["entries"]
        except (ValueError, KeyError, TypeError):
            entries = None
        if not entries or not isinstance(entries, list):
            self.problems.append(f"{key}: not JSON with a list of entries")
            return
        windows: set[str] = set()
        for entry in entries:
            try:
                self._read_shard(entry, match, windows)
            except (ValueError, zlib.error) as exc:
                url = entry.get("url") if isinstance(entry, dict) else entry
                self.problems.append(f"{key}: {url}: {exc}")
        self._windows |= windows
        if match["firing"] and not int(match["number"]):
            self._firings.append((match["folder"], ",".join(sorted(windows))))

    def _read_shard(self, entry: Any, manifest: re.Match[str], windows: set[str]) -> None:
        """Add what an entry lists.

        Raises:
          ValueError: something is wrong with it.
          zlib.error: the shard is not gzip, or its checksum is wrong.
        """
        if not isinstance(entry, dict) or not str(entry.get("url")).startswith(f"{self._place.root}/"):
            raise ValueError("not a URL of this destination")
        key = entry["url"].removeprefix(f"{self._place.root}/")
        if key in self._listed:
            raise ValueError("is listed twice")
        self._listed.add(key)
        match = _SHARD.fullmatch(key)
        if match is None or match["run"] != self._run_id:
            raise ValueError("not a shard of this run")
        if key not in self._keys:
            raise ValueError("does not exist")
        if entry.get("mandatory") is not True:
            raise ValueError("is not mandatory")
        stream, window = match["stream"], match["window"] or ""
        windows.add(window)
        folders = manifest["folder"].rstrip("/").split("/") if manifest["folder"] else []
        named = stream.split("/") if len(folders) >= _STREAM_PARTS else []
        if folders != (named if manifest["firing"] else [*named, *filter(None, [window])]) or len(windows) > 1:
            raise ValueError(f"is of {stream} {window}, its manifest of {'/'.join(folders)}")
        body = self._place.read(key)
        if hashlib.sha256(body).hexdigest()[:12] != match["digest"]:
            raise ValueError("its content is not that of its key")
        text = _unpack(body)
        records = [json.loads(line) for line in text.decode("utf-8").split("\n")[:-1]]
        if not all(isinstance(record, dict) for record in records):
            raise ValueError("has a line that is not a JSON object")
        if _text(entry.get("meta")) != _text({"content_length": len(body), "record_count": len(records)}):
            raise ValueError(f"has {len(body)} bytes and {len(records)} records, listed as {entry.get('meta')}")
        self._raw_bytes += len(text)
        self._object_bytes += len(body)
        for record in records:
            self._add(record, stream, _bounds(window))

    def _add(self, record: dict[str, Any], stream: str, bounds: tuple[float, float]) -> None:
        rules = self._rules
        self.records += 1
        self._balance[_text(record)] += 1
        self._streams.add((stream, _text([record.get(field) for field in rules.stream_fields])))
        if rules.id_field:
            self._ids[str(record.get(rules.id_field))] += 1
        moment = record.get(rules.time_field) if rules.time_field else None
        self._outside += moment is not None and not bounds[0] <= moment < bounds[1]

    def _check_numbers(self, manifests: Iterable[re.Match[str]]) -> None:
        """Note missing parts of a firing, and missing firings."""
        parts: dict[str, list[int]] = collections.defaultdict(list)
        firings: dict[str, set[int]] = collections.defaultdict(set)
        for match in manifests:
            parts[match["folder"] + (match["firing"] or "")].append(int(match["number"]))
            if match["firing"]:
                firings[match["folder"]].add(int(match["firing"]))
        for what, numbered in (("parts", parts), ("firings", firings)):
            for folder, numbers in numbered.items():
                if sorted(numbers) != list(range(len(numbers))):
                    self.problems.append(f"{folder}: its {what} are {sorted(numbers)}")

    def _check_run_record(self, keys: set[str]) -> None:
        """Compare with the run's own record, which is the commit of a bounded run."""
        key = f"runs/{self._run_id}.json"
        if key not in self._keys:
            self.problems.append(f"{key}: does not exist")
            return
        record = json.loads(self._place.read(key))
        if not record["bounded"]:
            return
        if record["state"] != "finished":
            self.problems.append(f"the run's record says that it is {record['state']}")
        listed = {row["key"]: row["sha256"] for row in record["manifests"]}
        for key in sorted(keys ^ set(listed)):
            self.problems.append(f"{key}: is {'not in the record' if key in keys else 'in the record, but missing'}")
        for key in sorted(keys & set(listed)):
            if hashlib.sha256(self._place.read(key)).hexdigest() != listed[key]:
                self.problems.append(f"{key}: not the manifest that the run's record lists")

    def _read_dead_letters(self) -> set[str]:
        keys = [key for key in self._keys if key.startswith(f"dead-letters/{self._run_id}/")]
        lines = (line for key in keys for line in gzip.decompress(self._place.read(key)).splitlines())
        return {letter.get("raw") or letter.get("raw_hex") for letter in map(json.loads, lines)}

    def _check_rules(self) -> None:
        rules = self._rules
        self._note(
            {name for name, number in self._ids.items() if number != rules.times}, f"ids not {rules.times} times"
        )
        self._note(set() if rules.unlisted else self._unlisted, "shards are in no manifest")
        if self._outside != rules.outside:
            self.problems.append(f"{self._outside} records are outside of their window, not {rules.outside}")
        folders, values = ({pair[part] for pair in self._streams} for part in (0, 1))
        if rules.stream_fields and not len(self._streams) == len(folders) == len(values):
            self.problems.append(
                f"{len(folders)} folders have {len(values)} values of {' and '.join(rules.stream_fields)}, in "
                f"{len(self._streams)} combinations: not one each"
            )

    def _compare(self, sources: Iterable[Path]) -> None:
        """Compare with the source, line by line."""
        rejected: set[str] = set()
        for line, record in (pair for path in sources for pair in read_lines(path, self._rules.id_field)):
            self.lines += 1
            if record is None:
                rejected.add(line)
            else:
                self._balance[_text(record)] -= self._rules.times
        self.lost, self.duplicated = (-self._balance).total(), (+self._balance).total()
        self._note(list((-self._balance).elements()), "source records are in no listed shard")
        self._note(list((+self._balance).elements()), "records have no source")
        self._note(rejected - self.dead_letters, "rejected lines are not among the dead letters")
        self._note(self.dead_letters - rejected, "dead letters are not rejected lines of the source")

    def _note(self, names: Collection[str], problem: str) -> None:
        if names:
            shown = ", ".join(sorted(names)[:_MAX_NAMES]) + (", ..." if len(names) > _MAX_NAMES else "")
            self.problems.append(f"{len(names)} {problem}: {shown}")


def _unpack(body: bytes) -> bytes:
    """Return the content of a gzip file with one member.

    Raises:
      ValueError: it has more or less than one, or its last line does not end.
      zlib.error: it is not gzip, or its checksum is wrong.
    """
    unpacker = zlib.decompressobj(_SINGLE_GZIP_MEMBER)
    text = unpacker.decompress(body)
    if not unpacker.eof or unpacker.unused_data or not text.endswith(b"\n"):
        raise ValueError("not one whole gzip member of whole lines")
    return text


def _bounds(window: str) -> tuple[float, float]:
    """Return begin and end in seconds since 1970; all of time if the name does not state them."""
    try:
        begin, end = (datetime.datetime.fromisoformat(part).timestamp() for part in window.split("-"))
    except ValueError:
        return float("-inf"), float("inf")
    return begin, end


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
