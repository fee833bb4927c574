"""Faults of S3Box: threads, interruptions, forks."""

from __future__ import annotations

from tools.mutants.fault import Fault

BOXES = (
    Fault(
        "stripes are emptied before the seal is marked",
        "a record that was packed is in a shard",
        "beam_s3box/box/packer.py",
        "            self._is_sealed = True\n            # once manifests may have been written, no step that could abort the box is taken\n            if not self._is_cut:\n                self._gather(*self._all_stripes)\n",
        "            # once manifests may have been written, no step that could abort the box is taken\n            if not self._is_cut:\n                self._gather(*self._all_stripes)\n            self._is_sealed = True\n            if not self._is_cut:\n",
        ("tests/box",),
    ),
    Fault(
        "an interrupted step is not noticed",
        "a box with a lost record is aborted",
        "beam_s3box/box/packer.py",
        '        if self._in_step and self._abort_reason is None:\n            self._abort_reason = interrupted("an exception")\n',
        "",
        ("tests/box/test_box_interrupted.py",),
    ),
    Fault(
        "a step that raised goes on",
        "a box with a lost record is aborted",
        "beam_s3box/box/packer.py",
        '            self._abort_reason = interrupted(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)\n            raise\n',
        "            raise\n",
        ("tests/box",),
    ),
    Fault(
        "a child writes its parent's records",
        "a fork doubles nothing",
        "beam_s3box/box/packer.py",
        "        self._abort_reason = forked(self._process)\n",
        "",
        ("tests/box/test_box_forks.py",),
    ),
    Fault(
        "a full box does not wait",
        "memory is bounded",
        "beam_s3box/box/packer.py",
        "        return has_room and not (self._is_full() and self._uploads.shards_in_flight)",
        "        return True",
        ("tests/box",),
    ),
    Fault(
        "seal does not wait for uploads",
        "a manifest lists only what is there",
        "beam_s3box/box/packer.py",
        "        self._wait(lambda: not self._uploads.shards_in_flight)\n",
        "",
        ("tests/box",),
    ),
    Fault(
        "the rest is not sealed",
        "a record that was packed is in a shard",
        "beam_s3box/box/packer.py",
        "            if remainder:\n",
        "            if False:\n",
        ("tests/box/test_box.py",),
    ),
    Fault(
        "who waits believes others that they start a thread",
        "a task that is waited for is run",
        "beam_s3box/system/threads.py",
        "        if self._places and not self._tasks.empty():\n",
        "        if len(self._starting) < len(self._places) and not self._tasks.empty():\n",
        ("tests/system/test_threads.py",),
    ),
    Fault(
        "a thread that ends does not look at the tasks",
        "a task that is waited for is run",
        "beam_s3box/system/threads.py",
        "            if self._tasks.empty():\n                return\n",
        "            return\n",
        ("tests/system/test_threads.py",),
    ),
)
