"""Open what DataflowRunner staged: the template, the pipeline it names, and the files that workers get."""

from __future__ import annotations

import base64
import bz2
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.pipeline_context import PipelineContext
from apache_beam.transforms.trigger import AccumulationMode

from tools.dataflow.storage import GoogleStorage

_PARDO = "beam:transform:pardo:v1"
_PICKLE = re.compile(rb"(?:Qlpo|eN)[A-Za-z0-9+/]{16,}={0,2}")
"""Base64 of what bz2 or zlib made: so Beam writes functions and coders into a pipeline."""


class Windowing(NamedTuple):
    """How elements are windowed; Beam's own class does not compare all of it.

    Attributes:
      windows: name of the window function, with seconds for fixed ones: `FixedWindows(60)`.
      trigger: as Beam writes it.
      is_discarding: whether a firing leaves out what an earlier one had.
      lateness: that is allowed, in seconds.
    """

    windows: str
    trigger: str
    is_discarding: bool
    lateness: float


class Step(NamedTuple):
    """One step of a pipeline.

    Attributes:
      urn: what it is.
      states: the kind of each state cell, by its name.
      timers: the time domain of each timer, by its name.
      windowing: of its input, None for a step without one.
    """

    urn: str
    states: Mapping[str, str]
    timers: Mapping[str, str]
    windowing: Windowing | None


class StagedFile(NamedTuple):
    """A file for the workers.

    Attributes:
      sha256: what the pipeline says of it.
      body: what was staged.
    """

    sha256: str
    body: bytes


class Template:
    """A template in the storage emulator, with all that it leads to.

    Attributes:
      job: the job's description.
      pipeline: Beam's description of the pipeline.
    """

    def __init__(self, storage: GoogleStorage, url: str) -> None:
        self._storage = storage
        self._body = storage.read(url)
        self.job: dict[str, Any] = json.loads(self._body)
        self._pipeline_body = storage.read(self.options["pipelineUrl"])
        self.pipeline = beam_runner_api_pb2.Pipeline.FromString(self._pipeline_body)
        self._windowings = PipelineContext(self.pipeline.components).windowing_strategies

    @property
    def options(self) -> dict[str, Any]:
        """The options that workers get."""
        options: dict[str, Any] = self.job["environment"]["sdkPipelineOptions"]["options"]
        return options

    def step_names(self) -> list[str]:
        """Return the names of all steps but the nameless root, which holds them."""
        root = set(self.pipeline.root_transform_ids)
        return [step.unique_name for id, step in self.pipeline.components.transforms.items() if id not in root]

    def steps(self) -> dict[str, Step]:
        """Return all steps by their name."""
        steps = self.pipeline.components.transforms.values()
        return {step.unique_name: self._step(step) for step in steps}

    def files(self) -> dict[str, StagedFile]:
        """Return what workers install or load, by its name there."""
        return dict(self._files())

    def texts(self) -> Iterator[bytes]:
        """Yield all that was staged, and what is packed into it."""
        for body in (self._body, self._pipeline_body, *(file.body for file in self.files().values())):
            yield body
            yield from _unpickled(body)
            yield from _unpacked(body)

    def _step(self, step: Any) -> Step:
        states: dict[str, str] = {}
        timers: dict[str, str] = {}
        if step.spec.urn == _PARDO:
            payload = beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload)
            states = {name: spec.WhichOneof("spec") for name, spec in payload.state_specs.items()}
            name_of = beam_runner_api_pb2.TimeDomain.Enum.Name
            # Beam puts `ts-` before the name of a timer
            timers = {
                name.removeprefix("ts-"): name_of(spec.time_domain) for name, spec in payload.timer_family_specs.items()
            }
        return Step(step.spec.urn, states, timers, self._windowing(step))

    def _windowing(self, step: Any) -> Windowing | None:
        if not step.inputs:
            return None
        # of several inputs the same one every time: a map of a proto has no order
        first = self.pipeline.components.pcollections[step.inputs[min(step.inputs)]]
        return _described(self._windowings.get_by_id(first.windowing_strategy_id))

    def _files(self) -> Iterator[tuple[str, StagedFile]]:
        for environment in self.pipeline.components.environments.values():
            for file in environment.dependencies:
                place = beam_runner_api_pb2.ArtifactUrlPayload.FromString(file.type_payload)
                role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(file.role_payload)
                yield role.staged_name, StagedFile(place.sha256, self._storage.read(place.url))


def _described(windowing: Any) -> Windowing:
    seconds = f"{float(windowing.windowfn.size):g}" if hasattr(windowing.windowfn, "size") else ""
    return Windowing(
        f"{type(windowing.windowfn).__name__}({seconds})",
        repr(windowing.triggerfn),
        windowing.accumulation_mode == AccumulationMode.DISCARDING,
        windowing.allowed_lateness.micros / 1e6,
    )


def _unpickled(body: bytes) -> Iterator[bytes]:
    for found in _PICKLE.findall(body):
        # the next field's tag may look like one more character
        packed = base64.b64decode(found[: len(found) // 4 * 4])
        if packed.startswith(b"BZh"):
            yield bz2.BZ2Decompressor().decompress(packed)
        elif packed.startswith(b"x\xda"):
            yield zlib.decompressobj().decompress(packed)


def _unpacked(body: bytes) -> Iterator[bytes]:
    if body.startswith(b"\x1f\x8b"):
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    yield content.read()
