"""The files and counts of manifests, which are read when they are loaded: the counts check the COPY."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

import orjson

from beam_s3box.engine.manifests import Manifest, Replaced
from beam_s3box.errors import ConfigurationError, LoadError, S3BoxError
from beam_s3box.formats import AVRO, Format
from beam_s3box.redshift.commits import Commits
from beam_s3box.redshift.replaced import ReplacedReader, check_unchanged
from beam_s3box.stores import Credentials, S3Settings, open_store
from beam_s3box.stores.s3_settings import s3_settings_of
from beam_s3box.system.threads import Threads

FetchBytes: TypeAlias = Callable[[str], bytes]
"""Returns the bytes behind a URL."""

_URL: Final = re.compile(r"(?P<root>(?P<scheme>[a-z][a-z0-9]*)://(?P<place>[^/]*))/(?P<key>.+)", re.DOTALL)
_MAX_RECORDS: Final = 2**63 - 1
"""The largest number of rows that the ledger's BIGINT can hold."""

AVRO_EXTENSION: Final = ".avro"
_OF_JSON: Final = (".json", ".jsonl", ".gz")

_SHOWN: Final = 300
"""Characters of a value that an error shows."""

_READERS: Final = 8
"""Manifests to read at the same time."""


class ListedManifest(NamedTuple):
    """A manifest as it is in the store now.

    Attributes:
      url: of the manifest.
      sha256: digest of its bytes, hexadecimal: the same URL with another digest lists other shards.
      records: number of rows that COPY loads from it.
      files: URLs of its shards.
      replaced: manifests that list the same records in other shards, as a compaction found them.
    """

    url: str
    sha256: str
    records: int
    files: tuple[str, ...]
    replaced: tuple[ListedManifest, ...] = ()

    @property
    def origins(self) -> tuple[ListedManifest, ...]:
        """The manifests that list its records first: those that it replaces, and in the end itself."""
        return tuple(one for part in self.replaced for one in part.origins) or (self,)

    @property
    def family(self) -> tuple[ListedManifest, ...]:
        """Itself and all that it replaces, directly or not."""
        return (self, *(one for part in self.replaced for one in part.family))


@dataclasses.dataclass(frozen=True)
class StoreReader:
    """Reads an object, such as a manifest or a shard, from the store in its URL.

    Attributes:
      s3: how to reach S3.
      credentials: a function that finds the keys; None leaves it to boto3.
    """

    s3: S3Settings | None = None
    credentials: Callable[[], Credentials | None] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        s3_settings_of(self.s3)

    def __call__(self, url: str) -> bytes:
        """Return the object's bytes; raises the store's errors."""
        match = _URL.fullmatch(url) if isinstance(url, str) else None
        if match is None:
            raise ConfigurationError(
                f"manifest={url!r} must be the URL of a manifest, such as s3://bucket/prefix/x.manifest"
            )
        root = f"{match['root']}/" if match["root"] == "file://" else match["root"]
        return open_store(root, self.s3, self.credentials).get(match["key"])


def read_manifest(
    url: str, fetch: FetchBytes, records: int | None = None, *, written: str = "", commits: Commits | None = None
) -> ListedManifest:
    """Read a manifest and return what it lists. Loads, column inference and dry runs all read manifests with this.

    Args:
      url: of the manifest.
      fetch: returns the bytes behind a URL.
      records: see `parse_manifest`.
      written: digest that a write returned for a manifest that counts; "" if only the URL is known.
      commits: with the records of runs that were read already.

    Raises:
      LoadError: see `parse_manifest`; or the manifest does not count, see `Commits.check` and `ReplacedReader.of`.
      StoreError: the manifest can't be read.
    """
    commits = commits or Commits(fetch)

    def read(body: bytes, url: str, records: int | None, written: str, depth: int) -> ListedManifest:
        listed = parse_manifest(url, body, records)
        if listed.sha256 != written:
            commits.check(url, listed.sha256)

        def read_original(row: Replaced, depth: int) -> ListedManifest:
            text = fetch(row.url)
            # before it is read: no manifest can hold its own digest, so nothing goes round in circles
            check_unchanged(url, row, hashlib.sha256(text).hexdigest())
            return read(text, row.url, row.records, "", depth)

        return listed._replace(replaced=ReplacedReader(read_original, depth).of(listed, body))

    return read(fetch(url), url, records, written, 0)


def read_manifests(
    manifests: Iterable[Manifest | str], fetch: FetchBytes, *, needs_counts: bool = True
) -> list[ListedManifest]:
    """Return the manifests, ordered by URL, each once, without those that list no files.

    Args:
      manifests: rows of a write, or URLs.
      fetch: returns the bytes behind a URL.
      needs_counts: whether a manifest without counts of records is an error: without them no load can be checked.

    Raises:
      ConfigurationError: neither `Manifest` rows nor URLs.
      LoadError: see `parse_manifest`.
      StoreError: it can't be read.
    """
    counts: dict[str, int | None] = {}
    written: dict[str, str] = {}
    for manifest in manifests:
        url, records = _address(manifest)
        counts[url] = records if counts.get(url) is None else counts[url]
        written[url] = getattr(manifest, "sha256", "") or written.get(url, "")
    if not counts:
        return []
    unknown = None if needs_counts else 0
    commits = Commits(fetch)

    def read(url: str) -> ListedManifest:
        records = unknown if counts[url] is None else counts[url]
        return read_manifest(url, fetch, records, written=written[url], commits=commits)

    threads = Threads(_READERS, "beam_s3box-manifests")
    return [manifest for manifest in threads.map(read, sorted(counts)) if manifest.files]


def names_of(url: str, fetch: FetchBytes) -> int:
    """Return how many manifests a load of this one names: itself, and those that it replaces; 1 if it can't be read."""
    try:
        return len(read_manifest(url, fetch, 0).family)
    except (S3BoxError, OSError, LookupError):
        return 1


def parse_manifest(url: str, body: bytes, records: int | None = None) -> ListedManifest:
    """Return what the text of a manifest lists.

    Anybody may have written a manifest. Its files must be objects in the same kind of store as the manifest, so that
    a manifest on S3 can't make its reader open local files or contact other servers.

    Args:
      url: of the manifest.
      body: its bytes.
      records: number of rows that it lists, for a manifest written by others whose entries have no counts.

    Raises:
      LoadError: an invalid manifest, one that lists a file twice or in another kind of store, one with invalid counts,
        or without counts.
    """
    entries = _entries(url, body)
    files = tuple(_file(url, entry) for entry in entries)
    twice = [file for file, times in collections.Counter(files).items() if times > 1]
    if twice:
        raise LoadError(
            f"{url} lists {_shown(twice[0])} more than once, and COPY would load it each time: write the manifest again"
        )
    return ListedManifest(url, hashlib.sha256(body).hexdigest(), _records(url, entries, records), files)


def check_format(format: Format, manifests: Iterable[ListedManifest]) -> None:
    """Raise ConfigurationError if files have the extension of another format."""
    is_avro = format.extension == AVRO_EXTENSION
    for manifest in manifests:
        for file in manifest.files:
            if file.endswith(_OF_JSON if is_avro else AVRO_EXTENSION):
                other = "json-lines" if is_avro else AVRO
                raise ConfigurationError(
                    f"{manifest.url} lists {_shown(file)}, which is not of the format {format.name}: "
                    f"give format={other} (--format={other})"
                )


def _address(manifest: Manifest | str) -> tuple[str, int | None]:
    if isinstance(manifest, str):
        return manifest, None
    url, records = getattr(manifest, "url", None), getattr(manifest, "records", None)
    if not isinstance(url, str) or not _is_count(records):
        raise ConfigurationError(f"manifest={manifest!r} must be a Manifest or the URL of one")
    return url, records


def _entries(url: str, body: bytes) -> Sequence[Mapping[str, Any]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise LoadError(f"{url} is not a manifest, its text is not JSON ({exc}): give the URL of a manifest") from exc
    entries = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "url" in entry for entry in entries):
        raise LoadError(f'{url} is not a manifest, it has no "entries" with a "url" each: give the URL of a manifest')
    return entries


def _file(url: str, entry: Mapping[str, Any]) -> str:
    file = entry["url"]
    if not isinstance(file, str):
        raise LoadError(f"{url} lists {_shown(file)}, which is not the URL of a file: write the manifest again")
    own, other = _URL.fullmatch(url), _URL.fullmatch(file)
    # if the caller's own function reads manifests by other names, its files have names of the same kind
    if (own is None) != (other is None) or (own and other and own["scheme"] != other["scheme"]):
        kind = f"{own['scheme']}:// URLs" if own else "names without a scheme, like its own"
        raise LoadError(f"{url} lists {_shown(file)}: a manifest may list {kind} only; write the manifest again")
    if other and other["scheme"] == "s3" and not other["place"]:
        raise LoadError(f"{url} lists {_shown(file)}, which names no bucket: write the manifest again")
    return file


def _records(url: str, entries: Sequence[Mapping[str, Any]], stated: int | None) -> int:
    # the text takes precedence: a manifest that was written again has the counts of what COPY reads now
    counts = [count for entry in entries if (count := _count(url, entry)) is not None]
    total = sum(counts) if len(counts) == len(entries) else stated
    if total is None:
        raise LoadError(
            f'{url} has no counts of records ("meta": {{"record_count": …}}), so a load can\'t be checked: give it as '
            "a Manifest with its records"
        )
    if total > _MAX_RECORDS:
        raise LoadError(f"{url} counts {total} records, more than a table can have: write the manifest again")
    return total


def _count(url: str, entry: Mapping[str, Any]) -> int | None:
    """Return the number of records in an entry, None if it has none."""
    meta = entry.get("meta")
    if meta is None:
        return None
    count = meta.get("record_count", 0) if isinstance(meta, dict) else None
    if not _is_count(count):
        raise LoadError(
            f'{url} has "meta": {_shown(meta)} for {_shown(entry["url"])}: it must be an object, and its '
            '"record_count" a whole number of at least 0; write the manifest again'
        )
    return count if "record_count" in meta else None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _shown(value: object) -> str:
    """Return a foreign value for an error: printable, and not too long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
