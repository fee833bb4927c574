"""Start a job on DataflowRunner as its users do, but for a template in the storage emulator."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.dataflow.environment import PROJECT, clean_variables, gcp_program, google_variables
from tools.dataflow.storage import GoogleStorage
from tools.dataflow.template import Template

IMAGE = "registry.example/beam-worker:1"
"""Of the workers; nobody asks for it."""

_ROOT = Path(__file__).resolve().parent.parent.parent
_SOURCES = ("beam_s3box", "setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md")
_SECONDS = 180.0


@dataclasses.dataclass(frozen=True)
class Launched:
    """A job that was started and ended.

    Attributes:
      code: its exit code.
      output: all that it said.
      template: URL of its template.
    """

    code: int
    output: str
    template: str


class Launcher:
    """Stages jobs from a copy of the sources: packing them leaves files behind, and must not find those of last time.

    Args:
      storage: where to.
      folder: for the copy.
      environment: variables of the jobs; those of this process that name an account of a cloud are left out.
    """

    def __init__(self, storage: GoogleStorage, folder: Path, environment: Mapping[str, str]) -> None:
        self._storage = storage
        self._checkout = folder / "checkout"
        self._checkout.mkdir()
        for name in _SOURCES:
            _copy(_ROOT / name, self._checkout / name)
        google = {**google_variables(folder), **storage.variables()}
        self._environment = {**clean_variables(), **google, **environment}

    def stage(self, job: str, name: str, *arguments: str) -> Launched:
        """Run `s3box {job}` for a template of this name, which is the job's too."""
        template = f"gs://{self._storage.bucket}/templates/{name}.json"
        command = [str(gcp_program("python")), "-m", "beam_s3box", job, *arguments, *self._options(name, template)]
        done = subprocess.run(
            command,
            cwd=self._checkout,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Launched(done.returncode, done.stdout, template)

    def template(self, launched: Launched) -> Template:
        """Open what a job staged."""
        return Template(self._storage, launched.template)

    def _options(self, name: str, template: str) -> list[str]:
        return [
            "--runner=DataflowRunner",
            f"--project={PROJECT}",
            "--region=us-central1",
            f"--job_name={name}",
            f"--temp_location=gs://{self._storage.bucket}/temp",
            f"--staging_location=gs://{self._storage.bucket}/staged",
            f"--template_location={template}",
            "--sdk_location=container",
            f"--sdk_container_image={IMAGE}",
            "--setup_file=./setup.py",
        ]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
