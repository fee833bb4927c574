"""Faults of an engine that executes bundles again for a part of what they emit."""

from __future__ import annotations

from tools.mutants.fault import Fault

_ONCE = "two executions of a bundle are never listed together"

SPARK = (
    Fault(
        "Spark keeps what it has computed",
        _ONCE,
        "beam_s3box/transforms/engines.py",
        "    if may_repeat_bundles(records):\n        _switch_on(_NO_CACHE, _LOST_WITH_EXECUTORS, pipeline.options.view_as(_SparkOptions), given)\n",
        "",
        ("tests/transforms/test_engines.py",),
    ),
    Fault(
        "Spark gets the same pipeline as others",
        _ONCE,
        "beam_s3box/transforms/write.py",
        "            repeats_bundles=may_repeat_bundles(records) and not stateful,\n",
        "",
        ("tests/transforms/test_engines.py",),
    ),
    Fault(
        "plans of a stream are shuffled apart",
        _ONCE,
        "beam_s3box/transforms/manifests.py",
        "            number = 0 if self._keeps_together else plan.number\n",
        "            number = plan.number\n",
        ("tests/transforms/test_manifests.py",),
    ),
    Fault(
        "shards of a stream are shuffled apart",
        _ONCE,
        "beam_s3box/transforms/pack.py",
        "    return (file.domain, file.namespace), file\n",
        "    return (file.key, file.namespace), file\n",
        ("tests/simulation/test_simulation.py",),
    ),
    Fault(
        "shards are shuffled apart from what is left over of their stream",
        _ONCE,
        "beam_s3box/transforms/encoded.py",
        '    return file.domain, file.namespace, ""\n',
        '    return file.key, file.namespace, ""\n',
        ("tests/simulation/test_simulation.py",),
    ),
    Fault(
        "a run counts whose shards lack records",
        "a run that counts has every record that it accepted",
        "beam_s3box/transforms/finish.py",
        "            _check_complete(plan.layout.run_id, totals.accepted, size.records)\n",
        "",
        ("tests/transforms/test_manifests.py",),
    ),
)
