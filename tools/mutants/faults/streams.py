"""Faults of unbounded input: windows, state and timers."""

from __future__ import annotations

from tools.mutants.fault import Fault

STREAMS = (
    Fault(
        "the timer of a window is the next window's",
        "manifests come when a window ends",
        "beam_s3box/transforms/windows.py",
        "return min(window.max_timestamp(), MAX_TIMESTAMP)",
        "return min(window.end, MAX_TIMESTAMP)",
        (
            "tests/transforms/test_windows.py",
            "tests/transforms/test_pack_by_state.py",
        ),
    ),
    Fault(
        "late records wait for a timer",
        "late records never hold back the watermark",
        "beam_s3box/engine/window_buffer.py",
        "        if self._ended:\n            return [self._sealed(SealedSegments((segment,), BY_LATENESS))], False\n",
        "",
        ("tests/engine/test_window_buffer.py",),
    ),
    Fault(
        "the window's end is forgotten",
        "late records never hold back the watermark",
        "beam_s3box/engine/window_buffer.py",
        "        self._ended = True\n",
        "",
        ("tests/engine/test_window_buffer.py",),
    ),
    Fault(
        "numbers of shards are not kept",
        "two shards never share a key",
        "beam_s3box/engine/window_buffer.py",
        "return BufferState(*self._shard.size, self._sequence,",
        "return BufferState(*self._shard.size, 0,",
        ("tests/engine/test_window_buffer.py",),
    ),
    Fault(
        "the age counts from the last record",
        "no record waits longer than max_seconds",
        "beam_s3box/engine/window_buffer.py",
        "bool(self._shard) and (not waited or replaced)",
        "bool(self._shard)",
        ("tests/engine/test_window_buffer.py",),
    ),
    Fault(
        "the age timer outlives its window",
        "a job on Flink does not spin",
        "beam_s3box/transforms/pack_by_state.py",
        "        # if this timer stays set, a job on Flink spins for ever\n        age.clear()\n",
        "",
        ("tests/transforms/test_pack_by_state.py",),
    ),
    Fault(
        "later records put off the time limit",
        "a shard waits no longer than max_seconds",
        "beam_s3box/transforms/pack_by_state.py",
        "        if begun:\n            self._start_clock",
        "        if begun or not shards:\n            self._start_clock",
        ("tests/transforms/test_stream_packing.py",),
    ),
    Fault(
        "a large segment ends the time limit of what waits before it",
        "a shard waits no longer than max_seconds",
        "beam_s3box/transforms/pack_by_state.py",
        "        elif shards and not buffer and not state.ended:\n",
        "        elif shards and not state.ended:\n",
        ("tests/transforms/test_pack_by_state.py",),
    ),
    Fault(
        "state is not written after a shard",
        "each record is in one shard",
        "beam_s3box/transforms/pack_by_state.py",
        "        shards = self._with_arrival(buffer.seal(BY_SECONDS), arrived)\n        self._write(cell, buffer)\n",
        "        shards = self._with_arrival(buffer.seal(BY_SECONDS), arrived)\n",
        (
            "tests/transforms/test_pack_by_state.py",
            "tests/transforms/test_stream_packing.py",
        ),
    ),
    Fault(
        "two formats share a key of state",
        "a job that is updated never joins two formats",
        "beam_s3box/transforms/pack_by_state.py",
        "        if format.fingerprint != key[4]:\n",
        "        if False:\n",
        (
            "tests/transforms/test_pack_by_state.py",
            "tests/transforms/test_stream_packing.py",
        ),
    ),
    Fault(
        "a window that is known to have ended gets a timer",
        "late records never hold back the watermark",
        "beam_s3box/transforms/pack_by_state.py",
        "BufferState.new(new_origin(), ended=last <= self._passed)",
        "BufferState.new(new_origin())",
        ("tests/transforms/test_pack_by_state.py",),
    ),
    Fault(
        "firings are not numbered in state",
        "a repeated firing has the key of the first one",
        "beam_s3box/transforms/manifests.py",
        "        lineage.write(tuple(before.after(self._publisher.key(numbered[0]), numbered[0])))\n",
        "",
        (
            "tests/transforms/test_manifests.py",
            "tests/transforms/test_stream_panes.py",
        ),
    ),
    Fault(
        "the origin of a group is that of the work before",
        "work that is done again never writes over what it wrote",
        "beam_s3box/transforms/pack.py",
        "        origin = new_origin()\n",
        '        origin = "0" * 12\n',
        ("tests/transforms",),
    ),
    Fault(
        "Prism splits bundles with state",
        "no state of a key is written over on Prism",
        "beam_s3box/transforms/engines.py",
        "        options.add_experiment(_NO_SPLITS)\n",
        "",
        (
            "tests/transforms/test_engines.py",
            "tests/simulation",
        ),
    ),
    Fault(
        "a checkpoint of Flink comes while a bundle runs",
        "a checkpoint has all that a bundle holds",
        "beam_s3box/transforms/engines.py",
        "        options.finish_bundle_before_checkpointing = True\n",
        "",
        (
            "tests/transforms/test_engines.py",
            "tests/simulation",
        ),
    ),
)
