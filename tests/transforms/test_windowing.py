"""Windows, triggers and lateness: what a write takes from its input or its arguments, and what it rejects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.display import DisplayData
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    DefaultTrigger,
    Repeatedly,
    TriggerFn,
)
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows, WindowFn

from beam_s3box import ConfigurationError, StreamLimits, Tuning, WriteToS3Box
from beam_s3box.transforms.windowing import WindowingChoice

MINUTE = FixedWindows(60)
DISCARDING, ACCUMULATING = AccumulationMode.DISCARDING, AccumulationMode.ACCUMULATING
EARLY = AfterWatermark(early=AfterProcessingTime(5), late=AfterCount(1))
BY_FIELD: dict[str, Any] = {"domain_field": "d", "namespace_field": "n"}


def bounded() -> beam.PCollection:
    return beam.Pipeline(options=PipelineOptions([])) | beam.Create([1])


def unbounded() -> beam.PCollection:
    return beam.Pipeline(options=PipelineOptions([])) | TestStream()


def into(
    windowfn: WindowFn = MINUTE,
    trigger: TriggerFn | None = None,
    accumulation_mode: Any = DISCARDING,
    lateness: float = 0,
) -> beam.WindowInto:
    return beam.WindowInto(windowfn, trigger=trigger, accumulation_mode=accumulation_mode, allowed_lateness=lateness)


def chosen(
    records: beam.PCollection,
    windowing: Any = None,
    allowed_lateness: float | None = None,
    triggering_frequency: int | None = None,
) -> Windowing:
    return WindowingChoice(windowing, allowed_lateness, triggering_frequency).apply_to(records)


def facts(windowing: Windowing) -> tuple[WindowFn, str, Any, float]:
    """Return its properties; triggers as text, because Beam's processing-time triggers have no equality."""
    return (
        windowing.windowfn,
        str(windowing.triggerfn),
        windowing.accumulation_mode,
        windowing.allowed_lateness.micros / 1e6,
    )


# ---------------------------------------------------------------- accepted


@pytest.mark.parametrize("windowfn", [MINUTE, SlidingWindows(60, 10)])
def test_the_inputs_windowing_is_kept(windowfn: WindowFn) -> None:
    trigger = AfterWatermark(early=AfterProcessingTime(5), late=AfterCount(3))
    records = unbounded() | into(windowfn, trigger, DISCARDING, 30)
    assert facts(chosen(records)) == (windowfn, str(trigger), DISCARDING, 30)
    assert not WindowingChoice(None, None, None).changes()


@pytest.mark.parametrize(
    ("lateness", "early", "trigger", "kept"),
    [
        (None, None, AfterWatermark(), 0),
        (0, None, AfterWatermark(), 0),
        (30, None, AfterWatermark(late=AfterCount(1)), 30),
        (0.5, None, AfterWatermark(late=AfterCount(1)), 0.5),
        (None, 5, EARLY, 65),
        (30, 5, EARLY, 65),
        (100, 5, EARLY, 100),
    ],
)
def test_a_window_function_gets_a_trigger_that_loses_nothing(
    lateness: float | None, early: int | None, trigger: TriggerFn, kept: float
) -> None:
    """With early firings a window is kept until the last of their timers has fired."""
    windowing = chosen(unbounded(), MINUTE, lateness, early)
    assert facts(windowing) == (MINUTE, str(trigger), DISCARDING, kept)


def test_lateness_and_early_firings_change_the_inputs_own_windows() -> None:
    records = unbounded() | into(SlidingWindows(60, 10))
    assert facts(chosen(records, None, 100, 5)) == (SlidingWindows(60, 10), str(EARLY), DISCARDING, 100)
    assert WindowingChoice(None, 30, None).changes()
    assert WindowingChoice(None, None, 5).changes()
    assert WindowingChoice(MINUTE, None, None).changes()


def test_a_window_into_is_used_as_it_is() -> None:
    trigger = Repeatedly(AfterProcessingTime(5))
    windowing = chosen(unbounded(), into(MINUTE, trigger, DISCARDING, 30))
    assert facts(windowing) == (MINUTE, str(trigger), DISCARDING, 30)


def test_the_global_window_works_with_a_trigger_that_fires() -> None:
    for windowing in (
        chosen(unbounded(), None, None, 5),
        chosen(unbounded(), GlobalWindows(), None, 5),
        chosen(unbounded(), into(GlobalWindows(), Repeatedly(AfterCount(10)))),
    ):
        assert isinstance(windowing.windowfn, GlobalWindows)
        assert windowing.accumulation_mode == DISCARDING


def test_bounded_input_fires_each_window_once() -> None:
    """Beam's local runners crash on processing-time triggers, and the end of the input fires every window anyway."""
    windowing = chosen(bounded(), MINUTE, 30, 5)
    assert facts(windowing)[:3] == (MINUTE, str(DefaultTrigger()), DISCARDING)
    assert isinstance(chosen(bounded(), GlobalWindows()).windowfn, GlobalWindows)
    assert isinstance(chosen(bounded()).triggerfn, DefaultTrigger)


def test_a_default_trigger_never_accumulates() -> None:
    """With lateness it fires more than once, and Beam's default is to accumulate."""
    records = unbounded() | beam.WindowInto(MINUTE, allowed_lateness=30, accumulation_mode=ACCUMULATING)
    assert facts(chosen(records)) == (MINUTE, str(DefaultTrigger()), DISCARDING, 30)


# ---------------------------------------------------------------- rejected

REFUSED: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "sessions of the input": (lambda: unbounded() | into(Sessions(10)), None, r"merge.*use fixed, sliding"),
    "sessions": (unbounded, Sessions(10), r"merge.*windowing=FixedWindows\(60\)"),
    "sessions, said in full": (unbounded, into(Sessions(10)), "merge"),
    "sessions of bounded input": (bounded, Sessions(10), r"merge.*windowing=GlobalWindows\(\) for bounded input"),
    "gaps": (bounded, SlidingWindows(1, 5), r"SlidingWindows\(1, 5\) .*in no window, and lost.*FixedWindows\(5\)"),
    "gaps of an endless input": (unbounded, into(SlidingWindows(0.5, 0.6)), r"SlidingWindows\(0.5, 0.6\)"),
    "gaps of the input's own windows": (lambda: bounded() | into(SlidingWindows(60, 61)), None, "in no window"),
    "accumulating": (
        unbounded,
        into(MINUTE, AfterWatermark(early=AfterCount(1)), ACCUMULATING),
        r"ACCUMULATING: later manifests would list shards again.*use AccumulationMode\.DISCARDING",
    ),
    "accumulating input": (
        lambda: unbounded() | into(MINUTE, Repeatedly(AfterCount(1)), ACCUMULATING),
        None,
        "ACCUMULATING",
    ),
    "the global window": (
        unbounded,
        None,
        r"unbounded and in the global window.*windowing=FixedWindows\(60\).*or triggering_frequency=60",
    ),
    "the global window, said": (unbounded, into(GlobalWindows()), r"unbounded and in the global window"),
    "the global window, by its function": (unbounded, GlobalWindows(), "unbounded and in the global window"),
    "the global window, at its end": (unbounded, into(GlobalWindows(), AfterWatermark()), "in the global window"),
    "no late trigger": (
        unbounded,
        into(MINUTE, AfterWatermark(), DISCARDING, 30),
        r"AfterWatermark.*may lose shards \(MAY_FINISH\).*AfterWatermark\(late=AfterCount\(1\)\)",
    ),
    "no late trigger of the input": (
        lambda: unbounded() | into(MINUTE, AfterWatermark(early=AfterCount(1)), DISCARDING, 30),
        None,
        "may lose shards",
    ),
    "a trigger that fires once": (unbounded, into(MINUTE, AfterCount(10)), r"AfterCount.*may lose shards"),
    "a time that comes once": (unbounded, into(MINUTE, AfterProcessingTime(10)), "may lose shards"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_windows_that_would_lose_or_repeat_are_refused(name: str) -> None:
    records, windowing, message = REFUSED[name]
    with pytest.raises(ConfigurationError, match=message):
        chosen(records(), windowing)


@pytest.mark.parametrize("name", ["sessions", "the global window", "no late trigger", "accumulating"])
def test_the_write_rejects_them_when_the_pipeline_is_built(name: str) -> None:
    records, windowing, message = REFUSED[name]
    with pytest.raises(ConfigurationError, match=message):
        records() | WriteToS3Box("memory://refused", **BY_FIELD, windowing=windowing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"windowing": 60}, r"windowing=60 must be a window function such as FixedWindows\(60\), or a WindowInto"),
        ({"windowing": "fixed"}, "windowing='fixed' must be"),
        ({"windowing": FixedWindows}, "must be a window function"),
        (
            {"windowing": into(), "allowed_lateness": 5},
            r"windowing is a WindowInto.*set allowed_lateness and triggering_frequency",
        ),
        ({"windowing": into(), "triggering_frequency": 5}, r"windowing is a WindowInto"),
        ({"windowing": into(), "allowed_lateness": 0}, r"windowing is a WindowInto"),
        ({"allowed_lateness": -1}, "allowed_lateness=-1 must be a number of seconds of at least 0"),
        ({"allowed_lateness": float("nan")}, "allowed_lateness=nan"),
        ({"allowed_lateness": float("inf")}, "allowed_lateness=inf"),
        ({"allowed_lateness": True}, "allowed_lateness=True"),
        ({"allowed_lateness": "20"}, "allowed_lateness='20'"),
        ({"triggering_frequency": 0}, "triggering_frequency=0 must be a whole number of seconds of at least 1"),
        ({"triggering_frequency": 1.5}, r"triggering_frequency=1\.5 must be a whole number"),
        ({"triggering_frequency": 5.0}, r"triggering_frequency=5\.0"),
        ({"triggering_frequency": True}, "triggering_frequency=True"),
        ({"triggering_frequency": "5"}, "triggering_frequency='5'"),
    ],
)
def test_what_can_not_work_is_refused_when_the_write_is_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WriteToS3Box("memory://refused", **BY_FIELD, **arguments)


@pytest.mark.parametrize("arguments", [{"windowing": GlobalWindows()}, {"allowed_lateness": 10}])
def test_the_global_window_without_early_firings_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"unbounded and in the global window.*triggering_frequency=60"):
        unbounded() | WriteToS3Box("memory://refused", **BY_FIELD, **arguments)


def test_grouping_unbounded_input_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"packing='group' needs bounded input.*packing='auto' or 'stateful'"):
        unbounded() | WriteToS3Box("memory://refused", **BY_FIELD, windowing=MINUTE, tuning=Tuning(packing="group"))


def test_what_comes_out_is_in_the_windows_of_the_write() -> None:
    records = bounded() | into(SlidingWindows(60, 10))
    for windowing, expected in ((None, SlidingWindows(60, 10)), (MINUTE, MINUTE)):
        result = records | f"Write {windowing}" >> WriteToS3Box("memory://out", **BY_FIELD, windowing=windowing)
        assert result.shards.windowing.windowfn == expected
        assert result.manifests.windowing.windowfn == expected
        assert result.dead_letters.windowing.windowfn == expected


def test_defaults() -> None:
    """As in README and docstring: windows are not shown, because they are not changed."""
    shown = {item.key: item.value for item in DisplayData.create_from(WriteToS3Box("memory://x", **BY_FIELD)).items}
    assert shown["limits"] == str(StreamLimits())


@pytest.mark.parametrize(
    ("windowfn", "named"),
    [
        (FixedWindows(0.0005), "size"),
        (FixedWindows(60, 0.0001), "offset"),
        (SlidingWindows(1, 0.0001), "period"),
        (SlidingWindows(1.0005, 1), "size"),
    ],
)
@pytest.mark.parametrize("given", [True, False], ids=["given", "from the input"])
def test_windows_below_a_millisecond_are_refused(windowfn: WindowFn, named: str, *, given: bool) -> None:
    """Runners count in milliseconds: other bounds would move, and the records of the window would be lost."""
    records = unbounded() if given else unbounded() | into(windowfn)
    with pytest.raises(ConfigurationError, match=f"windowing: the {named} of .* microseconds.*whole milliseconds"):
        chosen(records, windowfn if given else None)


def test_whole_milliseconds_are_fine() -> None:
    assert chosen(unbounded(), FixedWindows(0.005)).windowfn == FixedWindows(0.005)
