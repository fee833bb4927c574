"""Manifests of what a streamer uploaded: each file in exactly one of them, also when the process is killed between.

First a listing says which files go into which manifests, and that is what counts: it is written whole, then the files'
own descriptions are removed, then the manifests are written, then the listing is removed. Whoever finds a listing goes
on from there, to the same manifests under the same keys.
"""

from __future__ import annotations

import itertools
import pathlib
from typing import Protocol

import orjson

from beam_s3box.errors import ConfigurationError
from beam_s3box.layout import Layout
from beam_s3box.manifests import Manifest, Manifests, plan_manifests
from beam_s3box.publish import write_manifest
from beam_s3box.shards import ShardFile
from beam_s3box.stores import Store
from beam_s3box.streamer.events import BufferFile
from beam_s3box.streamer.folder import Folder, description_of, file_of
from beam_s3box.streamer.output import Output
from beam_s3box.streams import Stream


class ListingUploader(Protocol):
    """What manifests need of an uploader, beside the upload; `StoreUploader` has it."""

    @property
    def store(self) -> Store:
        """Where the files are, and the manifests go."""
        ...

    def layout(self, run_id: str) -> Layout:
        """Return the layout of the keys of that run id."""
        ...

    def describe(self, file: BufferFile) -> ShardFile:
        """Return the file as manifests list it."""
        ...


class Listings:
    """Writes the manifests of one streamer; one thread at a time."""

    def __init__(self, manifests: Manifests, uploader: ListingUploader, folder: Folder) -> None:
        self._manifests = manifests
        self._uploader = uploader
        self._folder = folder
        self._panes = itertools.count()

    def write(self) -> list[Manifest]:
        """Write manifests of what is uploaded and not listed; first those that an earlier call could not finish."""
        self._note()
        return [manifest for path in self._folder.listings() for manifest in self._finish(path)]

    def _note(self) -> None:
        """Fix which files go into the next manifests."""
        listed = {name for path in self._folder.listings() for name in _names(path)}
        files = self._folder.unlisted()
        self._folder.drop_listed(file for file in files if file.file_name in listed)
        files = [file for file in files if file.file_name not in listed]
        if not files:
            return
        body = {
            "run_id": self._folder.run_id,
            "pane": next(self._panes),
            "per": self._manifests.per,
            "count": self._manifests.count,
            "files": [orjson.Fragment(description_of(file)) for file in files],
        }
        self._folder.write_whole(self._folder.new_name(), "listing", orjson.dumps(body))
        self._folder.drop_listed(files)

    def _finish(self, path: pathlib.Path) -> list[Manifest]:
        listing = orjson.loads(path.read_bytes())
        manifests = Manifests(listing["per"], listing["count"])
        scopes: dict[Stream | None, list[ShardFile]] = {}
        for description in listing["files"]:
            file = self._uploader.describe(file_of(description, self._folder.path))
            scopes.setdefault(manifests.scope(file), []).append(file)
        layout = self._uploader.layout(listing["run_id"])
        written = [
            write_manifest(self._uploader.store, layout, plan)
            for scope, files in scopes.items()
            for plan in plan_manifests(scope, "", listing["pane"], files, manifests.count, firing=listing["pane"])
        ]
        self._folder.drop(path)
        return written


def check_listable(manifests: Manifests, uploader: object, output: Output) -> ListingUploader:
    """Return the uploader.

    Raises:
      ConfigurationError: it can't say where files are, or COPY could not load them.
    """
    if not isinstance(manifests, Manifests):
        raise ConfigurationError(f"manifests={manifests!r} must be a Manifests, or None for none")
    if output != Output("json-lines", "gzip"):
        raise ConfigurationError(
            f"manifests need format='json-lines' and compression='gzip', not {output.format!r} and "
            f"{output.compression!r}: COPY takes a whole array for one row"
        )
    missing = [name for name in ("store", "layout", "describe") if not hasattr(uploader, name)]
    if missing:
        raise ConfigurationError(f"manifests need an uploader that knows its store, as S3Uploader; no {missing[0]!r}")
    return uploader  # type: ignore[return-value]


def _names(path: pathlib.Path) -> list[str]:
    return [file["file_name"] for file in orjson.loads(path.read_bytes())["files"]]
