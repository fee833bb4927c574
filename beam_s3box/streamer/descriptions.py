"""What is kept next to a finished file: enough for another process to upload and list it, and to see if it may."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import orjson

from beam_s3box.streamer.events import BufferFile
from beam_s3box.streamer.output import Output


class Description(NamedTuple):
    """A finished file, and by what settings it was made.

    Attributes:
      file: as its uploader gets it.
      output: what it holds.
      url: where it is uploaded to; None where the uploader does not say.
    """

    file: BufferFile
    output: Output
    url: str | None

    def write(self) -> bytes:
        """Return the description as JSON."""
        return orjson.dumps({**self.file._asdict(), "path": None, **self.output._asdict(), "url": self.url})


def read_description(text: bytes, name: str, folder: pathlib.Path) -> Description | None:
    """Return the description of the file of that name, in a folder that may have moved since; None if it is damaged."""
    try:
        return make_description(orjson.loads(text), name, folder)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def make_description(values: Any, name: str, folder: pathlib.Path) -> Description:
    """Return what parsed JSON describes.

    Raises:
      ValueError, KeyError, TypeError, AttributeError: it describes no file of that name.
    """
    values = dict(values)
    output = Output(values.pop("format", "json-lines"), values.pop("compression", "gzip"), values.pop("listed", False))
    url = values.pop("url", None)
    # before it is joined to a path: a damaged one must not lead out of the folder
    if values["file_name"] not in (f"{name}.json", f"{name}.json.gz"):
        raise ValueError(values["file_name"])
    file = BufferFile(**{**values, "path": folder / values["file_name"]})
    output.make()
    texts = (file.domain, file.namespace, file.content_type, url or "")
    numbers = (file.records, file.size, file.raw_bytes)
    if not all(isinstance(text, str) for text in texts) or not all(type(n) is int and n >= 0 for n in numbers):
        raise TypeError(f"{texts}, {numbers}")
    return Description(file, output, url)
