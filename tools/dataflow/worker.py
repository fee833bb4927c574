"""Stand in for a Dataflow worker: install the staged package, and load what was staged with nothing else of ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools.dataflow.environment import clean_variables, gcp_program
from tools.dataflow.template import Template

PACKAGE = "workflow.tar.gz"
"""Beam's name for what --setup_file packs."""

_SESSION = "pickled_main_session"
_MAIN = Path(__file__).resolve().with_name("worker_main.py")
_SECONDS = 120.0


class Loaded(NamedTuple):
    """What a worker found.

    Attributes:
      package: where it found beam_s3box.
      modules: of the function of each step, by the step's name.
    """

    package: Path
    modules: Mapping[str, str]


class Worker:
    """A worker of a job.

    Args:
      template: of the job.
      folder: for the worker's files; the package is installed in `installed` below it.
      environment: variables of the worker.
    """

    def __init__(self, template: Template, folder: Path, environment: Mapping[str, str]) -> None:
        self._template = template
        self._folder = folder
        self.installed = folder / "installed"
        self._environment = {**clean_variables(), **environment, "PYTHONPATH": str(self.installed)}
        for name, file in template.files().items():
            (folder / name).write_bytes(file.body)
        (folder / "pipeline.pb").write_bytes(template.pipeline.SerializeToString())
        # what the package needs is in the worker's image; setuptools builds it there, too
        offline = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
        self._python("-m", "pip", "install", *offline, "--target", str(self.installed), str(folder / PACKAGE))

    def load(self) -> Loaded:
        """Load the pipeline."""
        return self._main()

    def run(self) -> Loaded:
        """Load the pipeline, and run it on Beam's local runner with what the template says of S3."""
        options = {name: value for name, value in self._template.options.items() if name.startswith("s3_")}
        return self._main(json.dumps(options))

    def _main(self, *options: str) -> Loaded:
        files = (str(self._folder / "pipeline.pb"), str(self._folder / _SESSION))
        # -P: the script's own folder is no place to import from
        found: dict[str, Any] = json.loads(self._python("-P", str(_MAIN), *files, *options))
        return Loaded(Path(found["package"]), found["modules"])

    def _python(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(gcp_program("python")), *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the worker failed at {' '.join(arguments[:3])}:\n{done.stderr[-3000:]}")
        return done.stdout
