"""A pipeline as stages: the steps between two shuffles, which a worker runs as one bundle, and what a bundle emits.

The graph is Beam's own, with the package's own steps in it; Beam's `DoFnRunner` calls them.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

import apache_beam as beam
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.runners.common import DoFnRunner, Receiver
from apache_beam.transforms import core, userstate
from apache_beam.transforms.core import GroupByKey, Impulse
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

SOURCE: Final = "Source"
"""The label of the step that the simulation reads for."""

_GLOBAL: Final = GlobalWindow()


@dataclasses.dataclass
class Step:
    """A ParDo of a stage."""

    label: str
    transform: beam.ParDo
    inputs: Any
    outputs: dict[str | None, Any]

    is_stateful: bool


@dataclasses.dataclass
class Stage:
    """The steps that follow one collection, up to the next shuffles.

    Attributes:
      root: the collection that bundles are cut from.
      kind: "source", "impulse", "group" or "state", by where the root comes from.
      steps: in order.
      sinks: collections that other stages begin with.
    """

    root: Any
    kind: str
    label: str
    steps: list[Step] = dataclasses.field(default_factory=list)
    flattens: list[tuple[Any, Any]] = dataclasses.field(default_factory=list)
    sinks: list[Any] = dataclasses.field(default_factory=list)
    upstream: Any = None


class State(Protocol):
    """Where a bundle finds the state and the timers of a key."""

    def get_state(self, spec: Any, key: Any, window: Any) -> Any: ...

    def get_timer(self, spec: Any, key: Any, window: Any, timestamp: Any, pane: Any) -> Any: ...

    def commit(self) -> None: ...

    def reset(self) -> None: ...


_ARGUMENTS: Final[dict[tuple[type, str], Any]] = {}
_SPECS: Final[dict[type, Any]] = {}


@contextlib.contextmanager
def remembered_signatures() -> Iterator[None]:
    """Let Beam look at the methods of each class of steps once, and not for each worker: a signature takes 0.2 ms."""
    arguments, specs = core.get_function_arguments, userstate.get_dofn_specs

    def get_function_arguments(obj: Any, function: str) -> Any:
        if isinstance(obj, core.CallableWrapperDoFn):
            return arguments(obj, function)
        name = type(obj), function
        if name not in _ARGUMENTS:
            _ARGUMENTS[name] = arguments(obj, function)
        return _ARGUMENTS[name]

    def get_dofn_specs(dofn: Any) -> Any:
        if type(dofn) not in _SPECS:
            _SPECS[type(dofn)] = specs(dofn)
        return _SPECS[type(dofn)]

    core.get_function_arguments, userstate.get_dofn_specs = get_function_arguments, get_dofn_specs
    try:
        yield
    finally:
        core.get_function_arguments, userstate.get_dofn_specs = arguments, specs


class _Leaves(PipelineVisitor):
    def __init__(self) -> None:
        self.found: list[AppliedPTransform] = []

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        self.found.append(transform_node)


def stages_of(pipeline: beam.Pipeline) -> list[Stage]:
    """Return the stages of a pipeline, each behind those that it reads from."""
    leaves = _Leaves()
    pipeline.visit(leaves)
    stages: list[Stage] = []
    of: dict[Any, Stage] = {}

    def begin(root: Any, kind: str, label: str, upstream: Any = None) -> None:
        stage = Stage(root, kind, label, upstream=upstream)
        stages.append(stage)
        of[root] = stage
        if upstream is not None:
            of[upstream].sinks.append(upstream)

    skipped: set[Any] = set()
    for node in leaves.found:
        transform, label = node.transform, node.full_label
        outputs = dict(node.outputs)
        if label == SOURCE or label.startswith(f"{SOURCE}/"):
            skipped.update(outputs.values())
            root = pipeline_output(pipeline, SOURCE)
            if root not in of:
                begin(root, "source", SOURCE)
            continue
        if isinstance(transform, Impulse):
            begin(outputs[None], "impulse", label)
            continue
        (first, *others) = node.inputs
        if isinstance(transform, GroupByKey):
            begin(outputs[None], "group", label, upstream=first)
        elif isinstance(transform, beam.Flatten):
            joined = {id(of[collection]): of[collection] for collection in (first, *others)}
            if len(joined) == 1:
                stage = of[first]
                stage.flattens += [(collection, outputs[None]) for collection in (first, *others)]
                of[outputs[None]] = stage
            else:
                begin(outputs[None], "flatten", label)
                for collection in (first, *others):
                    of[collection].sinks.append(collection)
                    of[outputs[None]].flattens.append((collection, outputs[None]))
        elif isinstance(transform, beam.ParDo):
            step = Step(label, transform, first, outputs, bool(userstate.is_stateful_dofn(transform.fn)))
            if step.is_stateful:
                state_root = ("state", first)
                begin(state_root, "state", label, upstream=first)
                of[state_root].steps.append(step)
                stage = of[state_root]
            else:
                stage = of[first]
                stage.steps.append(step)
            for output in outputs.values():
                of[output] = stage
        else:
            raise NotImplementedError(f"{label}: {transform!r}")
    return stages


def pipeline_output(pipeline: beam.Pipeline, label: str) -> Any:
    """Return what the transform of this label emits."""
    root = next(part for part in pipeline.transforms_stack[0].parts if part.full_label == label)
    return root.outputs[None]


class _Receiver(Receiver):
    """Passes on what one step emits into one collection."""

    def __init__(self, steps: list[_Running], kept: list[WindowedValue] | None, more: list[_Receiver]) -> None:
        self._steps = steps
        self._kept = kept
        self._more = more

    def receive(self, value: WindowedValue) -> None:
        for window in value.windows:
            one = WindowedValue(value.value, value.timestamp, (window,), value.pane_info)
            for step in self._steps:
                step.process(one)
            if self._kept is not None:
                self._kept.append(one)
        for receiver in self._more:
            receiver.receive(value)

    def receive_batch(self, batch: Any) -> None:
        for value in batch.as_windowed_values(list):
            self.receive(value)


class _Running:
    """One step within one worker."""

    def __init__(self, step: Step, receivers: dict[str | None, _Receiver], state: State | None) -> None:
        fn = copy.copy(step.transform.fn)
        windowing = next(iter(step.outputs.values())).windowing
        self.fn = fn
        transform = step.transform
        self.runner = DoFnRunner(
            fn,
            transform.args,
            transform.kwargs,
            [],
            windowing,
            receivers,
            step_name=step.label,
            user_state_context=state,
        )

    def process(self, value: WindowedValue) -> None:
        self.runner.process(value)


class Worker:
    """Runs bundles of one stage, one after the other; after one that failed it is thrown away.

    Args:
      stage: whose steps it has.
      state: of the keys, for a stage with state.
    """

    def __init__(self, stage: Stage, state: State | None = None) -> None:
        self.stage = stage
        self.emitted: dict[Any, list[WindowedValue]] = {sink: [] for sink in stage.sinks}
        self._running: list[_Running] = []
        self._receivers: dict[Any, _Receiver] = {}
        # from the end, because a step needs what receives its output
        for step in reversed(stage.steps):
            receivers: dict[str | None, _Receiver] = {None: _Receiver([], None, [])}
            for tag, output in step.outputs.items():
                receivers[tag] = self._receiver(output)
            running = _Running(step, receivers, state if step.is_stateful else None)
            self._by_input(step, running)
            self._running.insert(0, running)
        self._is_set_up = False

    def _by_input(self, step: Step, running: _Running) -> None:
        root = self.stage.root[1] if self.stage.kind == "state" and step.is_stateful else step.inputs
        self._receiver(root)._steps.insert(0, running)

    def _receiver(self, collection: Any) -> _Receiver:
        if collection not in self._receivers:
            kept = self.emitted.get(collection)
            more = [self._receiver(target) for source, target in self.stage.flattens if source is collection]
            self._receivers[collection] = _Receiver([], kept, more)
        return self._receivers[collection]

    def run(
        self, elements: Iterable[WindowedValue], timers: Iterable[Any] = (), began: Any = None
    ) -> dict[Any, list[WindowedValue]]:
        """Run one bundle and return what it emits, by collection."""
        for kept in self.emitted.values():
            kept.clear()
        if not self._is_set_up:
            for running in self._running:
                running.runner.setup()
            self._is_set_up = True
        for running in reversed(self._running):
            running.runner.start()
        if began is not None:
            began()
        root = self.stage.root[1] if self.stage.kind == "state" else self.stage.root
        receiver = self._receiver(root)
        for element in elements:
            receiver.receive(element)
        for spec, key, window, at in timers:
            self._running[0].runner.process_user_timer(spec, key, window, at, None, "")
        for running in self._running:
            running.runner.finish()
        return {sink: list(kept) for sink, kept in self.emitted.items()}


def impulse() -> list[WindowedValue]:
    return [WindowedValue(b"", MIN_TIMESTAMP, (_GLOBAL,))]


def windowed(value: Any, timestamp: Any = MIN_TIMESTAMP) -> WindowedValue:
    return WindowedValue(value, timestamp, (_GLOBAL,))


def is_global(collection: Any) -> bool:
    return isinstance(collection.windowing.windowfn, GlobalWindows)
