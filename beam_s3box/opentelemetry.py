"""Metrics for OpenTelemetry: those of a box or a streamer, or any figures by name. It needs `opentelemetry-api`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.metrics import GAUGES, HasStats, figures_of

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

PREFIX: Final = "beam_s3box."
"""Before each name."""


def observe(
    source: HasStats | Callable[[], Mapping[str, float]],
    attributes: Mapping[str, str] | None = None,
    meter: Meter | None = None,
) -> None:
    """Let OpenTelemetry ask for figures whenever it exports: observable counters, and gauges for what goes up and down.

    *Example*:

        from beam_s3box.opentelemetry import observe

        observe(box, {"stream": "web/clicks"})

    Args:
      source: a box or a streamer, or a function that returns figures by name; it names all of them from the beginning.
      attributes: of each measurement.
      meter: creates the instruments; None for the meter `beam_s3box` of the program's provider.

    Raises:
      ConfigurationError: opentelemetry-api is not installed.
    """
    api = _api()
    read = figures_of(source)
    created = api.get_meter("beam_s3box") if meter is None else meter
    labels = dict(attributes or {})

    def reader(name: str) -> Callable[[Any], Iterable[Any]]:
        return lambda options: [api.Observation(read().get(name, 0), labels)]

    for name in sorted(read()):
        create = created.create_observable_gauge if name in GAUGES else created.create_observable_counter
        create(PREFIX + name, callbacks=[reader(name)])


def _api() -> Any:
    try:
        import opentelemetry.metrics
    except ImportError as exc:
        raise ConfigurationError("metrics for OpenTelemetry need its API: pip install opentelemetry-api") from exc
    return opentelemetry.metrics
