"""Metrics for Prometheus: those of a box or a streamer, and of a command while it runs. Needs the extra `metrics`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.metrics import GAUGES, HasStats, figures_of

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX: Final = "beam_s3box_"
"""Before each name; counters end with `_total`."""


class Collector:
    """Gives figures to a Prometheus registry, as they are whenever it asks.

    *Example*:

        from prometheus_client import REGISTRY
        from beam_s3box.prometheus import Collector

        REGISTRY.register(Collector(box))

    Args:
      source: a box or a streamer, or a function that returns figures by name.
      labels: for each metric, such as `{"stream": "web/clicks"}`; collectors of one registry need different ones.

    Raises:
      ConfigurationError: prometheus_client is not installed.
    """

    def __init__(
        self, source: HasStats | Callable[[], Mapping[str, float]], labels: Mapping[str, str] | None = None
    ) -> None:
        _client()
        self._read = figures_of(source)
        self._labels = dict(labels or {})

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        core = _client().core
        names, values = list(self._labels), list(self._labels.values())
        for name, value in sorted(self._read().items()):
            kind = core.GaugeMetricFamily if name in GAUGES else core.CounterMetricFamily
            family = kind(PREFIX + name, name.replace("_", " "), labels=names)
            family.add_metric(values, value)
            yield family


@contextlib.contextmanager
def served(read: Callable[[], Mapping[str, float]], port: int | None) -> Iterator[None]:
    """Serve figures at `http://0.0.0.0:{port}/metrics` until the block ends; None serves nothing.

    Raises:
      ConfigurationError: prometheus_client is not installed, or the port can't be used.
    """
    if port is None:
        yield
        return
    client = _client()
    registry = client.CollectorRegistry()
    registry.register(Collector(read))
    try:
        server, thread = client.start_http_server(port, registry=registry)
    except OSError as exc:
        raise ConfigurationError(f"metrics_port={port} can't be used: {exc.strerror}; give another one") from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _client() -> Any:
    try:
        import prometheus_client
        import prometheus_client.core
    except ImportError as exc:
        raise ConfigurationError("metrics for Prometheus need its client: pip install prometheus_client") from exc
    return prometheus_client
