"""The figures of a run, for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from beam_s3box.cli.console.table import align, shown_stream
from beam_s3box.runs.report.figures import Distribution, RunFigures, StreamFigures
from beam_s3box.runs.report.scales import wait_text
from beam_s3box.sizes import counted_text, format_size

_MAX_STREAMS: Final = 30
_HEAD: Final = ("stream", "records", "shards", "each", "on S3", "ratio", "manifests", "waited", "dead")
_NONE: Final = "-"
_QUANTILES: Final = {"half": 0.5, "p90": 0.9, "p95": 0.95, "most": 1.0}


def render_figures(figures: RunFigures, width: int | None = None) -> str:
    """Return a run as text.

    Args:
      figures: of the run.
      width: of the terminal; None for none that lines must fit.
    """
    return "\n".join([*_head(figures), *_table(figures, width), *_sizes(figures), *_letters(figures)])


def figures_json(figures: RunFigures) -> str:
    """Return a run as JSON, with all its streams; only ASCII, which every output takes."""
    record = figures.record
    values: dict[str, Any] = {
        "run_id": record.run_id,
        "destination": figures.destination,
        **{name: getattr(record, name) for name in ("state", "kind", "version", "runner", "job_name", "bounded")},
        **{name: getattr(record, name) for name in ("began", "ended", "error", "parent")},
        "records_in": figures.records_in,
        "records_listed": figures.records,
        "dead_letters": figures.letters.records,
        "missing": figures.missing,
        "uploaded": figures.uploaded,
        **{name: getattr(figures, name) for name in ("shards", "raw_bytes", "object_bytes", "manifests")},
        "shard_bytes": _spread(figures.sizes),
        "wait_seconds": _spread(figures.waits),
        "waited_from": "stored" if figures.waits_stored else "first_record",
        "sealed_by": {name: dataclasses.asdict(sealing) for name, sealing in figures.sealed_by.items()},
        "dead_letter_reasons": list(figures.letters.reasons),
        "dead_letter_files": figures.letters.files,
        "streams": [_stream_json(stream) for stream in figures.streams],
        "windows" if figures.has_windows else "spans": list(figures.windows),
        "settings": record.settings,
    }
    return json.dumps(orjson.loads(orjson.dumps(values, default=str)), indent=2)


def _head(figures: RunFigures) -> Iterator[str]:
    record = figures.record
    writer = " ".join(filter(None, (record.kind, f"on {record.runner}" if record.runner else "")))
    by = ", ".join(filter(None, (writer, f"beam_s3box {record.version}" if record.version else "")))
    until = f" until {record.ended}" if record.ended else ""
    yield f"run {record.run_id} to {figures.destination}: {_state(figures)}"
    yield f"{by or 'written by an earlier version'}, from {record.began}{until}"
    if record.error:
        yield f"error: {record.error}"
    yield ""


def _state(figures: RunFigures) -> str:
    record = figures.record
    if record.state == "finished":
        return f"finished, but {record.interrupted}" if record.interrupted else "finished"
    if not record.bounded:
        return f"{'failed' if record.state == 'failed' else 'not finished'}; what its manifests list counts"
    return f"{'failed' if record.state == 'failed' else 'not finished'}; none of its manifests counts"


def _table(figures: RunFigures, width: int | None) -> Iterator[str]:
    streams = figures.streams
    if not streams:
        yield "nothing is listed"
        return
    rows = [_HEAD, *(_row(_name(one), [one]) for one in streams[:_MAX_STREAMS])]
    rest = streams[_MAX_STREAMS:]
    if rest:
        rows.append(_row(f"… and {len(rest):,} more", rest))
    total = list(_row(counted_text(sum(one.shards > 0 for one in streams), "stream"), streams))
    total[6] = f"{figures.manifests:,}"
    rows.append(tuple(total))
    kept = [
        number
        for number, name in enumerate(_HEAD)
        if name not in ("waited", "dead") or any(row[number] not in (_NONE, "0") for row in rows[1:])
    ]
    yield align([tuple(row[number] for number in kept) for row in rows], width)


def _row(name: str, streams: Sequence[StreamFigures]) -> tuple[str, ...]:
    shards, object_bytes, raw_bytes, waits = (
        sum(getattr(one, field) for one in streams) for field in ("shards", "object_bytes", "raw_bytes", "waits")
    )
    return (
        name,
        f"{sum(one.records for one in streams):,}",
        f"{shards:,}",
        format_size(round(object_bytes / shards)) if shards else _NONE,
        format_size(object_bytes),
        f"{raw_bytes / object_bytes:.1f}" if object_bytes and raw_bytes else _NONE,
        f"{sum(one.manifests for one in streams):,}",
        wait_text(sum(one.wait_seconds for one in streams) / waits) if waits else _NONE,
        f"{sum(one.dead_letters for one in streams):,}",
    )


def _name(stream: StreamFigures) -> str:
    return shown_stream(stream.domain, stream.namespace) if stream.is_named else "(no stream)"


def _sizes(figures: RunFigures) -> Iterator[str]:
    if figures.shards or figures.records_in is not None:
        yield _balance(figures)
    if figures.uploads_text:
        yield figures.uploads_text
    if not figures.shards:
        return
    sizes, waits = figures.sizes, figures.waits
    yield (
        f"shards: half at most {_size(sizes, 0.5)}, 90 % at most {_size(sizes, 0.9)}, all at most {_size(sizes, 1)}; "
        f"sealed by {_reasons(figures)}"
    )
    if len(waits):
        what = "from upload until the run finished" if figures.waits_stored else "from first record until listed"
        yield (
            f"{what}: half within {wait_text(waits.quantile(0.5))}, 95 % within {wait_text(waits.quantile(0.95))}, all "
            f"within {wait_text(waits.quantile(1))}"
        )
    if figures.has_windows:
        late = sum(window.panes > 0 for window in figures.windows)
        yield f"{counted_text(len(figures.windows), 'window')}, {late:,} of them listed more than once"


def _balance(figures: RunFigures) -> str:
    letters = figures.letters.records
    dead = counted_text(letters, "dead letter") if letters is not None else "dead letters that nobody counted"
    if figures.records_in is None or figures.missing is None:
        return f"{counted_text(figures.records, 'record')} listed, {dead}"
    sign = "≠" if figures.missing else "="
    return f"{counted_text(figures.records_in, 'record')} read {sign} {figures.records:,} listed + {dead}"


def _reasons(figures: RunFigures) -> str:
    rows = sorted(figures.sealed_by.items(), key=lambda item: (-item[1].shards, item[0]))
    return ", ".join(f"{name or 'unknown'} {sealing.shards:,}" for name, sealing in rows)


def _letters(figures: RunFigures) -> Iterator[str]:
    letters = figures.letters
    if not letters.files and not letters.reasons:
        return
    part = "" if letters.is_complete else ", the reasons of the first of them"
    yield f"dead letters {letters.url}, {counted_text(letters.files, 'file')}{part}"
    yield from (f"  {reason}" for reason in letters.reasons)
    yield from (f"  damaged: {url}" for url in letters.unreadable)


def _size(sizes: Distribution, share: float) -> str:
    return format_size(round(sizes.quantile(share)))


def _spread(numbers: Distribution) -> dict[str, float] | None:
    if not len(numbers):
        return None
    return {"mean": numbers.mean, **{name: numbers.quantile(share) for name, share in _QUANTILES.items()}}


def _stream_json(stream: StreamFigures) -> dict[str, Any]:
    values = dataclasses.asdict(stream)
    del values["waits"], values["wait_seconds"], values["most_wait_seconds"]
    return {**values, "mean_wait_seconds": stream.mean_wait_seconds, "most_wait_seconds": stream.most_wait_seconds}
