"""What OpenTelemetry's own reader gets of a box, a streamer and a function."""

from __future__ import annotations

import pathlib
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Sum

from beam_s3box import S3Box
from beam_s3box.errors import ConfigurationError
from beam_s3box.opentelemetry import observe
from beam_s3box.streamer import JsonBufferStreamer


class Exported:
    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.meter = MeterProvider([self._reader]).get_meter("test")

    def read(self) -> dict[str, tuple[type, float, dict[str, object]]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        metrics = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
        points = {metric.name: (metric.data, metric.data.data_points[0]) for metric in metrics}
        return {
            name: (type(kind), point.value, dict(point.attributes or {}))  # type: ignore[union-attr]
            for name, (kind, point) in points.items()
        }


def test_a_box(tmp_path: pathlib.Path) -> None:
    exported = Exported()
    box = S3Box(str(tmp_path / "out"), domain="web", namespace="clicks")
    observe(box, {"stream": "web/clicks"}, exported.meter)
    box.pack_many({"id": number} for number in range(7))
    found = exported.read()
    assert found["beam_s3box.records"] == (Sum, 7, {"stream": "web/clicks"})
    assert found["beam_s3box.pending"] == (Gauge, 7, {"stream": "web/clicks"})
    box.create_manifests()
    assert exported.read()["beam_s3box.pending"][1] == 0


def test_a_streamer(tmp_path: pathlib.Path) -> None:
    exported = Exported()
    with JsonBufferStreamer(lambda file: None, files_path=tmp_path) as streamer:
        observe(streamer, meter=exported.meter)
        streamer.open("web", "clicks")
        streamer.append("web", "clicks", {"id": 1})
        assert exported.read()["beam_s3box.open_streams"][:2] == (Gauge, 1)


def test_a_function() -> None:
    exported, counts = Exported(), {"records_in": 3}
    observe(lambda: counts, meter=exported.meter)
    assert exported.read()["beam_s3box.records_in"][:2] == (Sum, 3)
    counts["records_in"] = 5
    assert exported.read()["beam_s3box.records_in"][1] == 5


def test_without_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(ConfigurationError, match="pip install opentelemetry-api"):
        observe(dict)
