"""An estimate of a run, for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from beam_s3box.cli.console.table import align, shown_stream
from beam_s3box.runs.estimate.advice import Alternative
from beam_s3box.runs.estimate.prices import PRICES_OF, Prices
from beam_s3box.runs.estimate.run_estimate import RunEstimate
from beam_s3box.runs.estimate.sizing import StreamEstimate
from beam_s3box.sizes import KiB, MiB, counted_text, format_seconds, format_size

_MAX_STREAMS: Final = 20
_STREAM_HEAD: Final = ("stream", "records", "raw", "on S3", "ratio", "shards", "each", "manifests")
_OTHER_HEAD: Final = ("shards", "each", "small", "COPYs", "PUTs", "price")


class Sampled(Protocol):
    """How much of the input was read, see `beam_s3box.jobs.read.sample.InputSample`."""

    @property
    def files(self) -> int:
        """Files of the input."""
        ...

    @property
    def input_bytes(self) -> int:
        """Their bytes."""
        ...

    @property
    def pieces(self) -> int:
        """What was read of them."""
        ...

    @property
    def sampled_bytes(self) -> int:
        """The bytes of these."""
        ...

    @property
    def exact(self) -> bool:
        """Whether that is all."""
        ...


def render_estimate(
    sample: Sampled,
    estimate: RunEstimate,
    others: Sequence[Alternative],
    advice: Sequence[str],
    prices: Prices,
    width: int | None = None,
) -> str:
    """Return an estimate as text: what was read, the streams, the price, other choices, and warnings.

    Args:
      sample: what was read.
      estimate: of the run.
      others: other limits or windows.
      advice: warnings.
      prices: of S3.
      width: of the terminal; None for none that lines must fit.
    """
    rows = [_STREAM_HEAD, *(_stream_row(row) for row in estimate.streams[:_MAX_STREAMS])]
    rest = estimate.streams[_MAX_STREAMS:]
    if rest:
        rows.append(_sum_row(f"… and {len(rest):,} more", rest))
    if round(estimate.unseen_streams):
        unseen = f"{round(estimate.unseen_streams):,}"
        rows.append((f"… about {unseen} not in the sample", "few", "", "", "", unseen, "", ""))
    total = _sum_row(counted_text(len(estimate.streams) + round(estimate.unseen_streams), "stream"), estimate.streams)
    rows.append((*total[:5], _number(estimate.shards), _each(estimate), _number(estimate.manifests)))
    lines = [
        _sample_line(sample),
        "",
        align(rows, width),
        "",
        *_cost_lines(estimate, prices),
        "",
        *_other_lines(others, width),
        *(f"warning: {text}" for text in advice),
    ]
    return "\n".join(lines)


def estimate_json(
    sample: Sampled, estimate: RunEstimate, others: Sequence[Alternative], advice: Sequence[str], prices: Prices
) -> str:
    """Return all of an estimate as JSON; only ASCII, which every output takes."""
    values: dict[str, Any] = {
        "input": {
            "files": sample.files,
            "bytes": sample.input_bytes,
            "pieces": sample.pieces,
            "sampled_bytes": sample.sampled_bytes,
        },
        **_rounded(estimate),
        "streams": [_stream_json(row) for row in estimate.streams],
        "alternatives": [
            {"option": one.option, "value": one.value, "chosen": one.chosen, **_rounded(one.estimate)} for one in others
        ],
        "warnings": list(advice),
        "prices": {**dataclasses.asdict(prices), "defaults_of": PRICES_OF},
    }
    return json.dumps(values, indent=2)


def _rounded(estimate: RunEstimate) -> dict[str, Any]:
    values = {field.name: getattr(estimate, field.name) for field in dataclasses.fields(estimate)}
    values.pop("streams")
    values["dead_letters"] = {reason: round(number) for reason, number in estimate.dead_letters.items()}
    whole = ("unseen_streams", "records", "raw_bytes", "object_bytes", "shards", "small", "manifests", "put_requests")
    return {name: round(value) if name in whole else value for name, value in values.items()}


def _stream_json(row: StreamEstimate) -> dict[str, Any]:
    values = {name: round(value) for name, value in row._asdict().items() if name != "stream"}
    return {"domain": row.stream.domain, "namespace": row.stream.namespace, **values}


def _sample_line(sample: Sampled) -> str:
    files = counted_text(sample.files, "file")
    if sample.exact:
        return f"all of the input was read: {files}, {format_size(sample.input_bytes)}"
    share = sample.sampled_bytes / max(sample.input_bytes, 1)
    return (
        f"a sample was read: {counted_text(sample.pieces, 'piece')} of {files}, {format_size(sample.sampled_bytes)} of "
        f"{format_size(sample.input_bytes)} ({share:.1%}); figures are estimates"
    )


def _cost_lines(estimate: RunEstimate, prices: Prices) -> Iterator[str]:
    yield (
        f"{counted_text(round(estimate.put_requests), 'PUT')}, {counted_text(round(estimate.manifests), 'COPY')}: "
        f"{_dollars(estimate.run_dollars)} for requests (${prices.put:g} for 1,000 that write, "
        f"${prices.get:g} for 1,000 that read)"
    )
    if estimate.listed_within is None:
        yield f"{_dollars(estimate.month_dollars)} a month for storage (${prices.storage:g} a GB)"
        yield "records are listed when the run finishes"
        return
    mean, most = estimate.listed_within
    yield (
        f"{_dollars(estimate.month_dollars)} a month: its requests, and storage of what it adds "
        f"(${prices.storage:g} a GB)"
    )
    yield (
        f"a record is listed {format_seconds(round(mean))} after it arrives, at most {format_seconds(round(most))}, "
        "and the time of the uploads"
    )


def _other_lines(others: Sequence[Alternative], width: int | None) -> Iterator[str]:
    if len(others) < 2:
        return
    is_size = others[0].option == "max_object_bytes"
    rows = [(f"--{others[0].option}", *_OTHER_HEAD, *(() if is_size else ("listed in",)))]
    for one in others:
        name = _size_text(one.value) if is_size else _window_text(one.value)
        found = one.estimate
        within = () if found.listed_within is None else (format_seconds(round(found.listed_within[1])),)
        rows.append(
            (
                f"{name}{' (given)' if one.chosen else ''}",
                _number(found.shards),
                _each(found),
                f"{found.small / max(found.shards, 1):.0%}",
                _number(found.manifests),
                _number(found.put_requests),
                _dollars(found.run_dollars),
                *within,
            )
        )
    yield align(rows, width, has_total=False)
    yield ""


def _size_text(size: float) -> str:
    for unit, name in ((MiB, "MiB"), (KiB, "KiB")):
        if size % unit == 0:
            return f"{size / unit:g}{name}"
    return format_size(int(size))


def _stream_row(row: StreamEstimate) -> tuple[str, ...]:
    return _sum_row(shown_stream(*row.stream), [row])


def _sum_row(name: str, rows: Sequence[StreamEstimate]) -> tuple[str, ...]:
    records, raw_bytes, object_bytes, shards, manifests = (
        sum(getattr(row, field) for row in rows)
        for field in ("records", "raw_bytes", "object_bytes", "shards", "manifests")
    )
    return (
        name,
        _number(records),
        format_size(round(raw_bytes)),
        format_size(round(object_bytes)),
        f"{raw_bytes / object_bytes:.1f}" if object_bytes else "-",
        _number(shards),
        format_size(round(object_bytes / shards)) if shards else "-",
        _number(manifests),
    )


def _each(estimate: RunEstimate) -> str:
    return format_size(round(estimate.object_bytes / estimate.shards)) if estimate.shards else "-"


def _number(value: float) -> str:
    return f"{round(value):,}"


def _dollars(value: float) -> str:
    if value == 0 or value >= 0.01:
        return f"${value:,.2f}"
    return f"${value:.2g}" if value >= 0.0001 else "less than $0.0001"


def _window_text(seconds: float) -> str:
    """Return fixed windows as the option takes them: `fixed:60`, `fixed:15m`."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % unit == 0 and seconds > 60:
            return f"fixed:{seconds / unit:g}{name}"
    return f"fixed:{seconds:g}"
