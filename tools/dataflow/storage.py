"""Run an emulator of Google's object storage: the PyPI package `gcp-storage-emulator`, in `.venv-gcp`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tools.dataflow.environment import gcp_program
from tools.processes import accepts, free_ports, running

_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class GoogleStorage:
    """An emulator that answers.

    Attributes:
      endpoint_url: where it is.
      bucket: one that exists.
    """

    endpoint_url: str
    bucket: str

    def variables(self) -> dict[str, str]:
        """Return the variables by which Google's clients find it."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint_url}

    def read(self, url: str) -> bytes:
        """Return the object at `gs://bucket/name`."""
        name = urllib.parse.quote(url.removeprefix(f"gs://{self.bucket}/"), safe="")
        place = f"{self.endpoint_url}/download/storage/v1/b/{self.bucket}/o/{name}?alt=media"
        with urllib.request.urlopen(place, timeout=_SECONDS) as reply:
            return bytes(reply.read())


@contextlib.contextmanager
def google_storage(folder: Path, bucket: str = "staging") -> Iterator[GoogleStorage]:
    """Start an emulator with one bucket, and kill it at the end, however that comes.

    Args:
      folder: for its log.
      bucket: its name.

    Raises:
      MissingToolError: it is not installed.
      RuntimeError: it did not come up.
    """
    (port,) = free_ports(1)
    command = [str(gcp_program("gcp-storage-emulator")), "start", "--host=127.0.0.1", f"--port={port}", "--in-memory"]
    with running("the storage emulator", [*command, f"--default-bucket={bucket}"], folder / "storage.log") as server:
        server.wait_until(functools.partial(accepts, port))
        yield GoogleStorage(f"http://127.0.0.1:{port}", bucket)
