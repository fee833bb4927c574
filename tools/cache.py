"""Keep what is slow to build or download in a folder of the user's, from one run to the next."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return `$BEAM_S3BOX_CACHE`, else `beam_s3box` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    own = environment.get("BEAM_S3BOX_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    # a relative XDG_CACHE_HOME is to be ignored, says its specification
    base = Path(environment.get("XDG_CACHE_HOME") or "relative")
    return (base if base.is_absolute() else Path.home() / ".cache") / "beam_s3box"


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder, after filling it if it is not there.

    It is whole or not there: it is filled under another name, by one process at a time.

    Args:
      folder: where it shall lie; its name says the version of all that decides what is in it.
      make: fills an empty folder.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # a name may have dots: with_suffix would cut the version
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        # freed by the system when its holder dies
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder
