"""An input file as the readers of other libraries take it, and their errors as ours."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.jobs.read.input_files import InputFile
from beam_s3box.sizes import MiB
from beam_s3box.stores.s3_reads import ObjectReplacedError

_BUFFER_BYTES = MiB


class SizedFile(InputFile, Protocol):
    """An open file whose size is known."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        ...


class _Raw(io.RawIOBase):
    def __init__(self, file: SizedFile) -> None:
        self._file = file
        self._size = file.size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        self._file.seek(self._position)
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def seekable(file: SizedFile) -> io.BufferedReader:
    """Return the file, from its beginning, as an ordinary file of Python's."""
    file.seek(0)
    return io.BufferedReader(_Raw(file), _BUFFER_BYTES)


class _Blocks(io.RawIOBase):
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def file_of(blocks: Iterator[bytes]) -> io.BufferedReader:
    """Return bytes that come in blocks as a file, which can't seek."""
    return io.BufferedReader(_Blocks(blocks), _BUFFER_BYTES)


@contextlib.contextmanager
def errors_named(path: str, kind: str, where: Callable[[], str] = str) -> Iterator[None]:
    """Turn what a library says of a file that it can't read into one sentence with the file's name.

    Args:
      path: of the file.
      kind: of file.
      where: says where in the file, as ` after row 7`; by default nothing.

    Raises:
      ConfigurationError: the library raised something.
    """
    try:
        yield
    except (S3BoxError, ObjectReplacedError, GeneratorExit):
        raise
    except Exception as exc:  # a library's words for bytes that it did not expect can be any of Python's
        said = " ".join(str(exc).split()) or type(exc).__name__
        raise ConfigurationError(
            f"input={path!r} can't be read as {kind}{where()}: {said[:300]}; copy or write it again, or leave it out"
        ) from exc
