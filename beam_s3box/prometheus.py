"""Metrics for Prometheus: those of a box or a streamer, and of a command while it runs. Needs the extra `metrics`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from beam_s3box.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX: Final = "beam_s3box_"
"""Before each name; counters end with `_total`."""

_GAUGES: Final = frozenset(
    {"pending", "failed", "open_streams", "disk_bytes", "unlisted_files", "damaged_files", "pending_files"}
)
"""What goes up and down; all others only go up."""


class HasStats(Protocol):
    """An S3Box, a JsonBufferStreamer, or anything whose `stats` is a NamedTuple or a dataclass of numbers."""

    @property
    def stats(self) -> Any:
        """Return what it has done so far."""
        ...


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
        self._read: Callable[[], Mapping[str, float]] = source if callable(source) else lambda: _figures(source.stats)
        self._labels = dict(labels or {})

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        core = _client().core
        names, values = list(self._labels), list(self._labels.values())
        for name, value in sorted(self._read().items()):
            kind = core.GaugeMetricFamily if name in _GAUGES else core.CounterMetricFamily
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
        raise ConfigurationError("metrics for Prometheus need its client: pip install 'beam_s3box[metrics]'") from exc
    return prometheus_client


def _figures(stats: Any) -> dict[str, float]:
    """Return the numbers of stats by name; of what is a list, how many there are."""
    values: dict[str, Any] = stats._asdict() if hasattr(stats, "_asdict") else vars(stats)
    figures: dict[str, float] = {name: value for name, value in values.items() if isinstance(value, int | float)}
    return figures | {f"{name}_files": len(value) for name, value in values.items() if isinstance(value, tuple | list)}
