"""The environment of its own in which Beam comes with Google's libraries: they change what Beam imports and logs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tools.processes import MissingToolError

PROJECT = "no-project-123"
"""At Google; names are checked, and this one is good."""

_ROOT = Path(__file__).resolve().parent.parent.parent
_WAY_OUT = "make .venv-gcp/.requirements"
_CLOUDS = ("AWS_", "GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR_HOST")
_CREDENTIALS = {
    "type": "authorized_user",
    "client_id": "google-client",
    "client_secret": "google-client-secret",
    "refresh_token": "google-refresh-token",
    "token": "google-access-token",
    # valid for ever, so that nobody is asked for another one
    "expiry": "2999-01-01T00:00:00Z",
}
GOOGLE_SECRETS = tuple(_CREDENTIALS[name] for name in ("client_secret", "refresh_token", "token"))
"""What must not leave the launcher."""


def gcp_is_there(root: Path = _ROOT) -> bool:
    """Return whether the environment is built."""
    # make leaves the mark when everything is installed
    return (root / ".venv-gcp" / ".requirements").exists()


def gcp_program(name: str, root: Path = _ROOT) -> Path:
    """Return the path of a program of the environment.

    Raises:
      MissingToolError: it is not built.
    """
    if not gcp_is_there(root):
        raise MissingToolError(f"Beam with Google's libraries is not installed: {_WAY_OUT}")
    return root / ".venv-gcp" / "bin" / name


def clean_variables() -> dict[str, str]:
    """Return the variables of this process but those that name an account of a cloud, or where to find modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith((*_CLOUDS, "PYTHONPATH"))}


def google_variables(folder: Path) -> dict[str, str]:
    """Return the variables of a user who is logged in at Google, with credentials that are worth nothing.

    Without any, Beam looks for them four times, with pauses: half a minute a job.
    """
    path = folder / "google-credentials.json"
    path.write_text(json.dumps(_CREDENTIALS))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "GOOGLE_CLOUD_PROJECT": PROJECT}
