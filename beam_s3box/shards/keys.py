"""The layout below the destination: every key that this package writes is made here.

    data/{domain}/{namespace}/[{window}/]{run_id}-{origin}-{sequence}-{digest}.json.gz
    manifests/{run_id}/[{domain}/{namespace}/][{window}/]{i}.manifest             of a bounded run
    manifests/{run_id}/[{domain}/{namespace}/]{firing}-{i}.manifest               of an unbounded run
    dead-letters/{run_id}/{origin}-{sequence}-{digest}.json.gz
    runs/{run_id}.json                               the run's record
    runs/{run_id}/shards-{digest}.json.gz            lists of the shards of a bounded run
    runs/{run_id}/firings/{time}-{digest}.json.gz    of an unbounded run, one for each bundle of firings
    runs/{run_id}/alive/{token}                      sign of life of one process of an unbounded run
    runs/{run_id}/rollbacks/[{domain}/{namespace}/]last   the last firing that was replaced or is about to be
    runs/{run_id}/stop                               asks an unbounded run to end
    runs/{run_id}/compacted/{run_id}                 names a run that replaces manifests of this one, or will

The first one is a template. Windows and firings are in a key only if the run has them. Data and manifests never share a
prefix, so that a COPY by prefix never reads a manifest.
"""

from __future__ import annotations

import dataclasses
import functools

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.streams import MIN_FOLDER_BYTES, Stream, folder_name
from beam_s3box.shards.key_templates import KeyTemplate
from beam_s3box.shards.runs import ORIGIN_CHARACTERS

MAX_URL_BYTES = 255
"""Redshift's SYS_LOAD_DETAIL shows 256 characters of a file's URL."""

MAX_FOLDER_BYTES = 96
"""Longer names are shortened even if the URL has room, because people read them."""

DEFAULT_DATA_KEY = "data/{domain}/{namespace}/{window}{run_id}-{origin}-{sequence:05d}-{digest}{extension}"
"""The template of a shard's key."""

DOCTOR_FOLDER = ".beam_s3box-doctor/"
"""Where `s3box doctor` tries out the store. What is below it and older than an hour was left by one that was killed."""

_DIGEST_CHARACTERS = 12
_LIST_DIGEST_CHARACTERS = 32
_WINDOW = "20261122T101500Z-20261122T101600Z"
"""The name of a window; with fractions of a second it is 14 bytes longer."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Makes the keys of one run.

    Attributes:
      run_id: the name of the run.
      folder_bytes: maximum length of the folder name of a domain or namespace.
      data_key: the template of a shard's key.
    """

    run_id: str
    folder_bytes: int = MAX_FOLDER_BYTES
    data_key: str = DEFAULT_DATA_KEY

    def __post_init__(self) -> None:
        _ = self.template  # raises if it can't work

    @functools.cached_property
    def template(self) -> KeyTemplate:
        """The template of a shard's key, checked."""
        return KeyTemplate(self.data_key)

    @classmethod
    def below(cls, root_url: str, run_id: str, data_key: str = DEFAULT_DATA_KEY) -> Layout:
        """Return the layout for a destination, with folder names that keep its URLs within `MAX_URL_BYTES`.

        Raises:
          ConfigurationError: the bucket and prefix leave no room.
        """
        if not root_url.startswith("s3://"):
            return cls(run_id, data_key=data_key)
        free = MAX_URL_BYTES - len(root_url.encode("utf-8")) - 1 - cls(run_id, data_key=data_key)._fixed_bytes()
        if free // 2 < MIN_FOLDER_BYTES:
            raise ConfigurationError(
                f"destination={root_url!r} is too long: with more than {MAX_URL_BYTES} bytes the URLs of shards would "
                f"be cut off in Redshift's load tables; shorten the prefix by {2 * MIN_FOLDER_BYTES - free} bytes"
            )
        return cls(run_id, min(MAX_FOLDER_BYTES, free // 2), data_key)

    def _fixed_bytes(self) -> int:
        """Return the length of the longest key without its domain and namespace, of a shard or a manifest."""
        stream = Stream("x", "x")
        shard = self.shard(stream, _WINDOW, "0" * ORIGIN_CHARACTERS, 99_999, "0" * _DIGEST_CHARACTERS, ".json.gz")
        return max(len(key.encode("utf-8")) for key in (shard, self.manifest(stream, _WINDOW, 0, None))) - 2

    def shard(self, stream: Stream, window: str, origin: str, sequence: int, digest: str, extension: str) -> str:
        """Return the key of a shard. Two shards never share a key; the same bytes sealed again by one origin do.

        Args:
          stream: the stream of its records.
          window: the window's name in keys, "" for the global window.
          origin: the random token of the execution that sealed it.
          sequence: its number within the origin.
          digest: the SHA-256 of its bytes, hexadecimal.
          extension: the extension of the format.

        Raises:
          ConfigurationError: the template has a time that the window does not have.
        """
        return self.template.render(
            stream,
            window,
            self.folder_bytes,
            run_id=self.run_id,
            origin=origin,
            sequence=sequence,
            digest=digest[:_DIGEST_CHARACTERS],
            extension=extension,
        )

    def manifest(self, stream: Stream | None, window: str, number: int, firing: int | None) -> str:
        """Return the key of manifest `number` (from 0) of a firing, for one stream or for the whole run.

        A firing is named by its number and not by its window, so that a firing that a runner repeats has the same key.
        """
        name = f"{number:05d}.manifest"
        return self.manifests(stream, window, firing) + (name if firing is None else f"{firing:08d}-{name}")

    def manifests(self, stream: Stream | None, window: str, firing: int | None) -> str:
        """Return the folder of the manifests of a firing, for one stream or for the whole run."""
        return f"manifests/{self.run_id}/{self._scope(stream)}{_folder(window) if firing is None else ''}"

    def _scope(self, stream: Stream | None) -> str:
        if stream is None:
            return ""
        return "".join(f"{folder_name(name, self.folder_bytes)}/" for name in stream)

    @property
    def dead_letter_folder(self) -> str:
        """The folder of the files of dead letters."""
        return f"dead-letters/{self.run_id}/"

    def dead_letters(self, origin: str, sequence: int, sha256: str) -> str:
        """Return the key of a file of dead letters."""
        return f"{self.dead_letter_folder}{origin}-{sequence:05d}-{sha256[:_DIGEST_CHARACTERS]}.json.gz"

    @property
    def run(self) -> str:
        """The key of the run's record, which is written before its first shard."""
        return f"runs/{self.run_id}.json"

    @property
    def run_folder(self) -> str:
        """The folder of all that belongs to the run's record."""
        return f"runs/{self.run_id}/"

    def shard_list(self, sha256: str) -> str:
        """Return the key of a list of shards of a bounded run, named by the digest of its bytes."""
        return f"{self.run_folder}shards-{sha256}.json.gz"

    @property
    def firing_folder(self) -> str:
        """The folder of the lists of an unbounded run."""
        return f"{self.run_folder}firings/"

    def firings(self, moment: str, sha256: str) -> str:
        """Return the key of the list of what one bundle of an unbounded run has listed.

        Args:
          moment: the time when the bundle began, such as `20261122T101500Z`, so that the keys sort by time.
          sha256: the digest of the list's bytes, hexadecimal.
        """
        return f"{self.firing_folder}{moment}-{sha256[:_LIST_DIGEST_CHARACTERS]}.json.gz"

    def redrive(self, number: int) -> str:
        """Return the key of a selection of dead letters that another run writes again, from 0."""
        return f"{self.run_folder}redrives/{number:05d}.json"

    @property
    def alive_folder(self) -> str:
        """The folder of the signs of life."""
        return f"{self.run_folder}alive/"

    def alive(self, token: str) -> str:
        """Return the key of the sign of life of one process, which has a token of its own."""
        return f"{self.alive_folder}{token}"

    @property
    def rollback_folder(self) -> str:
        """The folder of the marks of rollbacks."""
        return f"{self.run_folder}rollbacks/"

    def rollback(self, stream: Stream | None) -> str:
        """Return the key of the mark that says which firing of an unbounded run was replaced last, or will be."""
        return f"{self.rollback_folder}{self._scope(stream)}last"

    @property
    def stop(self) -> str:
        """The key of the stop mark, which asks an unbounded run to end."""
        return f"{self.run_folder}stop"

    @property
    def compacted_folder(self) -> str:
        """The folder of the marks that name runs which compact this one."""
        return f"{self.run_folder}compacted/"

    def compacted(self, by: str) -> str:
        """Return the key of the mark that names a run which compacts this one."""
        return f"{self.compacted_folder}{by}"

    def of_attempt(self, attempt: str, name: str) -> str:
        """Return the key of an object that only one execution of the run writes."""
        return f"runs/{self.run_id}/{attempt}/{name}.json"


def _folder(window: str) -> str:
    return f"{window}/" if window else ""
