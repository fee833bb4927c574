"""What Beam remembers in tests is what it would find."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.coders import StrUtf8Coder
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, WorkerOptions
from apache_beam.transforms.userstate import BagStateSpec, get_dofn_specs

from tests.quick_beam import quicken

quicken()


class Plain(beam.DoFn):
    def process(self, element: str, suffix: str = "a") -> Any:
        yield element + suffix


class Stateful(Plain):
    BUFFER = BagStateSpec("buffer", StrUtf8Coder())

    def process(self, element: Any, suffix: str = "b", buffer: Any = beam.DoFn.StateParam(BUFFER)) -> Any:  # noqa: B008
        yield element


def test_methods_of_one_name_are_told_apart() -> None:
    for _ in range(2):
        assert beam.transforms.core.get_function_arguments(Plain(), "process") == (["element", "suffix"], ["a"])
        names, defaults = beam.transforms.core.get_function_arguments(Stateful(), "process")
        assert (names, defaults[0]) == (["element", "suffix", "buffer"], "b")
        assert get_dofn_specs(Plain()) == (set(), set())
        assert get_dofn_specs(Stateful()) == ({Stateful.BUFFER}, set())
        names.clear()


def test_options_of_the_same_flags_share_nothing() -> None:
    first, second = (PipelineOptions(["--runner=A", "--sdk_harness_container_image_overrides=x"]) for _ in range(2))
    lists = [each.view_as(WorkerOptions).sdk_harness_container_image_overrides for each in (first, second)]
    assert lists == [["x"], ["x"]]
    assert lists[0] is not lists[1]
    first.view_as(StandardOptions).runner = "B"
    assert second.view_as(StandardOptions).runner == "A"
    assert first.view_as(StandardOptions).runner == "B"
    assert PipelineOptions(["--runner=C"], streaming=True).view_as(StandardOptions).streaming is True
