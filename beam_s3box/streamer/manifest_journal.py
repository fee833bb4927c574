"""Manifests of the uploaded files: each file is in exactly one of them, also if the process is killed in between.

First a listing is written, a write-ahead log: it says which files go into which manifests. Then the descriptions of
these files are removed, then the manifests are written, then the listing is removed. The next process that finds a
listing continues there, with the same manifests under the same keys. A file is listed only with the URL that it was
uploaded to, and only if COPY can load it: files from other settings are kept for a streamer with those settings.
"""

from __future__ import annotations

import itertools
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from beam_s3box.engine.manifests import Manifest, Manifests, plan_manifests
from beam_s3box.engine.publish import write_manifest
from beam_s3box.errors import ConfigurationError, StreamerError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.sizes import counted_text
from beam_s3box.stores import Store
from beam_s3box.streamer.descriptions import Description, make_description
from beam_s3box.streamer.events import BufferFile
from beam_s3box.streamer.files import read_file, size_of
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.guard import synchronized
from beam_s3box.streamer.life import Life
from beam_s3box.streamer.output import Output
from beam_s3box.system.local_files import sync_folder

LISTED = Output("json-lines", "gzip", listed=True)
"""What COPY can load: checked by the rules of Redshift, and compressed as all files of a manifest are."""


class ListingUploader(Protocol):
    """What manifests need of an uploader in addition to `upload`; `StoreUploader` has it."""

    @property
    def store(self) -> Store:
        """The store of the files and the manifests."""
        ...

    def layout(self, run_id: str) -> Layout:
        """Return the layout of keys for a run id."""
        ...

    def describe(self, file: BufferFile) -> ShardFile:
        """Return the file as a manifest lists it."""
        ...


class Listing(NamedTuple):
    """The files of manifests that are being written.

    Attributes:
      run_id, pane: the names of the manifests.
      manifests: the scope and number of manifests.
      files: the files that they list.
    """

    run_id: str
    pane: int
    manifests: Manifests
    files: tuple[Description, ...]

    def write(self) -> bytes:
        """Return the listing as JSON."""
        values = {
            "run_id": self.run_id, "pane": self.pane, "per": self.manifests.per, "count": self.manifests.count
        }  # fmt: skip
        return orjson.dumps({**values, "files": [orjson.Fragment(file.write()) for file in self.files]})


class ManifestJournal:
    """Writes the manifests of one streamer; one thread at a time."""

    def __init__(self, manifests: Manifests, uploader: ListingUploader, folder: Folder, life: Life) -> None:
        self._manifests = manifests
        self._life = life
        self._uploader = uploader
        self._folder = folder
        self._panes = itertools.count()
        self._guard = threading.Lock()
        self._open: dict[str, Listing] = {}
        self._written: set[str] = set()
        self._when_idle: Callable[[], None] | None = None

    def recover(self) -> list[Description]:
        """Find unfinished listings of an earlier process; return the files of those that this streamer can't finish."""
        names = sorted(name for name, state in self._folder.scan() if state == "listing")
        found = {name: listing for name in names if (listing := self._read(name))}
        self._open = {name: listing for name, listing in found.items() if all(map(self.can_list, listing.files))}
        return [file for name, listing in found.items() if name not in self._open for file in listing.files]

    def can_list(self, description: Description) -> bool:
        """Return whether COPY can load a file, and this uploader uploads to the same URL."""
        return description.output == LISTED and description.url == self._uploader.describe(description.file).url

    def write(self, check: Callable[[], None]) -> list[Manifest]:
        """Write manifests of files that are uploaded and not listed; first those that an earlier call did not finish.

        Args:
          check: raises if the streamer no longer owns the folder.
        """
        try:
            return self._write(check)
        finally:
            self._call_when_idle()

    def when_idle(self, function: Callable[[], None]) -> None:
        """Call a function when no manifest is being written, now or later; from now on `write` must not be called."""
        self._when_idle = function
        self._call_when_idle()

    def _call_when_idle(self) -> None:
        if self._when_idle is not None and not self._guard.locked():
            self._when_idle()

    @synchronized
    def _write(self, check: Callable[[], None]) -> list[Manifest]:
        check()
        self._choose_files()
        return [manifest for name in sorted(self._open) for manifest in self._finish(name)]

    def _choose_files(self) -> None:
        """Decide which files go into the next manifests."""
        listed = {file.file.file_name for listing in self._open.values() for file in listing.files}
        uploaded = sorted(self._folder.uploaded.items())
        files = tuple(file for _, file in uploaded if file.file.file_name not in listed and self.can_list(file))
        if files:
            name = self._folder.new_name()
            self._open[name] = Listing(self._folder.run_id, next(self._panes), self._manifests, files)

    def _finish(self, name: str) -> list[Manifest]:
        listing, path = self._open[name], self._folder.path_of(name, "listing")
        if name not in self._written or size_of(path) is None:
            self._folder.write_atomic(name, "listing", listing.write())
            self._written.add(name)
        for description in listing.files:
            self._folder.drop_listed(description)
        scopes: dict[Stream | None, list[ShardFile]] = {}
        for description in listing.files:
            file = self._uploader.describe(description.file)._replace(sha256=description.sha256)
            scopes.setdefault(listing.manifests.scope(file), []).append(file)
        layout = self._uploader.layout(listing.run_id)
        listed = [
            (write_manifest(self._uploader.store, layout, plan), plan.files)
            for scope, files in scopes.items()
            for plan in plan_manifests(scope, "", listing.pane, files, listing.manifests.count, firing=listing.pane)
        ]
        self._life.list_shards(self._uploader.store, layout, listed)
        # else a machine that loses power could bring the descriptions back without the listing
        sync_folder(self._folder.path)
        self._folder.drop(path)
        self._open.pop(name, None)
        self._written.discard(name)
        return [manifest for manifest, _ in listed]

    def _read(self, name: str) -> Listing | None:
        try:
            values = orjson.loads(read_file(self._folder.path_of(name, "listing")))
            files = tuple(self._file(description) for description in values["files"])
            manifests = Manifests(values["per"], values["count"])
            return Listing(str(values["run_id"]), int(values["pane"]), manifests, files)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._folder.set_aside(name, "listing", f"the listing {name} is damaged")
            return None

    def _file(self, values: Any) -> Description:
        return make_description(values, values["file_name"].partition(".")[0], self._folder.path)


def other_settings(files: Sequence[tuple[Output, str | None]], folder: pathlib.Path) -> StreamerError | None:
    """Return an error about files that no manifest of this streamer will list; None if there are none.

    Args:
      files: the output of each file, and its URL if it is uploaded.
      folder: the folder of the files.
    """
    if not files:
        return None
    kinds = "; ".join(sorted({_kind(output, url) for output, url in files}))
    return StreamerError(
        f"files_path={str(folder)!r} holds {counted_text(len(files), 'file')} that a streamer with other settings "
        f"left, and that no manifest of this one will list: {kinds}. Those that are not uploaded yet will be; those "
        "that wait for a manifest are kept until a streamer with those settings writes it"
    )


def _kind(output: Output, url: str | None) -> str:
    checked = "for manifests" if output.listed else "not for manifests"
    where = f", uploaded to {url.rpartition('/')[0]}/" if url else ""
    return f"format={output.format!r}, compression={output.compression!r}, {checked}{where}"


def check_listable(manifests: Manifests, uploader: object, output: Output) -> ListingUploader:
    """Return the uploader, if manifests can list its files.

    Raises:
      ConfigurationError: it does not know the URLs of files, or COPY could not load them.
    """
    if not isinstance(manifests, Manifests):
        raise ConfigurationError(f"manifests={manifests!r} must be a Manifests, or None for none")
    if output != LISTED:
        raise ConfigurationError(
            f"manifests need format='json-lines' and compression='gzip', not {output.format!r} and "
            f"{output.compression!r}: COPY takes a whole array for one row"
        )
    missing = [name for name in ("store", "layout", "describe") if not hasattr(uploader, name)]
    if missing:
        raise ConfigurationError(f"manifests need an uploader that knows its store, as S3Uploader; no {missing[0]!r}")
    return uploader  # type: ignore[return-value]
