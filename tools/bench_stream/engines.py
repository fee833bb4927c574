"""Where the pipelines run; their workers are in the process that submits them, which takes the time."""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

from tools.flink.job_server import FlinkJobs, flink_local
from tools.prism import Prism, prism_server

ENGINES = ("fn_api", "flink", "prism")
"""Beam's own runner in Python, which has bounded input alone; the others, whose input is unbounded here."""


@contextlib.contextmanager
def engine_options(engine: str, endpoint: str | None) -> Iterator[list[str]]:
    """Give the options of a pipeline on an engine: the one at the endpoint, or one that ends here."""
    if engine == "fn_api":
        yield ["--runner=FnApiRunner"]
    elif endpoint is not None:
        yield _jobs(engine, endpoint).options(streaming=True)
    else:
        with tempfile.TemporaryDirectory() as folder, _server(engine, pathlib.Path(folder)) as found:
            yield found.options(streaming=True)


def _server(engine: str, folder: pathlib.Path) -> contextlib.AbstractContextManager[FlinkJobs | Prism]:
    """Start an engine that has a job service."""
    return flink_local(folder) if engine == "flink" else prism_server(folder)


def _jobs(engine: str, endpoint: str) -> FlinkJobs | Prism:
    return FlinkJobs(endpoint) if engine == "flink" else Prism(endpoint)
