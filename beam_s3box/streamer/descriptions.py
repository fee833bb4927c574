"""The description next to a finished file: what another process needs to upload and list it, or to refrain from it."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import orjson

from beam_s3box.streamer.events import BufferFile
from beam_s3box.streamer.output import Output


class Description(NamedTuple):
    """A finished file, and the settings that it was written with.

    Attributes:
      file: the file as its uploader gets it.
      output: the format of the file.
      url: the URL that it is uploaded to; None if the uploader does not know it.
      sha256: the SHA-256 of the file, hexadecimal; "" in descriptions of earlier versions.
    """

    file: BufferFile
    output: Output
    url: str | None
    sha256: str = ""

    def write(self) -> bytes:
        """Return the description as JSON."""
        values = {**self.file._asdict(), "path": None, **self.output._asdict(), "url": self.url, "sha256": self.sha256}
        return orjson.dumps(values)


def read_description(text: bytes, name: str, folder: pathlib.Path) -> Description | None:
    """Return the description of the file of that name, whose folder may have moved; None if it is damaged."""
    try:
        return make_description(orjson.loads(text), name, folder)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def make_description(values: Any, name: str, folder: pathlib.Path) -> Description:
    """Return the description from parsed JSON.

    Raises:
      ValueError, KeyError, TypeError, AttributeError: it does not describe a file of that name.
    """
    values = dict(values)
    output = Output(values.pop("format", "json-lines"), values.pop("compression", "gzip"), values.pop("listed", False))
    url, sha256 = values.pop("url", None), values.pop("sha256", "")
    # checked before it becomes part of a path: a damaged one must not point outside the folder
    if values["file_name"] not in (f"{name}.json", f"{name}.json.gz"):
        raise ValueError(values["file_name"])
    file = BufferFile(**{**values, "path": folder / values["file_name"]})
    output.make()
    texts = (file.domain, file.namespace, file.content_type, url or "", sha256)
    numbers = (file.records, file.size, file.raw_bytes)
    if not all(isinstance(text, str) for text in texts) or not all(type(n) is int and n >= 0 for n in numbers):
        raise TypeError(f"{texts}, {numbers}")
    return Description(file, output, url, sha256)
