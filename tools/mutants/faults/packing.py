"""Faults of packing: limits, segments, gzip members, keys."""

from __future__ import annotations

from tools.mutants.fault import Fault

_PACKING = "beam_s3box/shards/packing.py"
_BUILDER = "beam_s3box/engine/shard_builder.py"
_DEFLATE = "beam_s3box/formats/deflate.py"
_KEYS = "beam_s3box/shards/keys.py"
_LIMITS = "a shard never exceeds a limit, unless a single record does"
_ONCE = "each record is in one shard"
_BUILDER_TESTS = ("tests/engine/test_shard_builder.py",)
_FORMAT_TESTS = ("tests/formats/test_deflate.py", "tests/formats/test_format_contract.py")

PACKING = (
    Fault(
        "a limit is exceeded by one",
        _LIMITS,
        _PACKING,
        "shares[name] > 1 if strictly",
        "shares[name] > 1.01 if strictly",
        ("tests/shards/test_packing.py",),
    ),
    Fault(
        "a full shard is not sealed",
        "a shard that reaches a limit is sealed",
        _PACKING,
        "shares[name] >= 1\n",
        "shares[name] > 1\n",
        ("tests/shards/test_packing.py",),
    ),
    Fault(
        "the overhead of the format is not counted",
        _LIMITS,
        _PACKING,
        "room = whole.minus(overhead.shard)",
        "room = whole",
        ("tests/shards/test_packing.py", *_BUILDER_TESTS),
    ),
    Fault(
        "separators are not counted",
        _LIMITS,
        _PACKING,
        "return segment.size.plus(self.separator)",
        "return segment.size",
        ("tests/shards/test_packing.py", *_BUILDER_TESTS),
    ),
    Fault(
        "the smaller part becomes a shard",
        "shards are as full as they can be",
        _PACKING,
        "if capacity.fill(buffered) >= capacity.fill(incoming):",
        "if capacity.fill(buffered) < capacity.fill(incoming):",
        ("tests/shards/test_packing.py",),
    ),
    Fault(
        "a sealed buffer keeps its segments",
        _ONCE,
        _PACKING,
        "segments, self._segments = tuple(self._segments), []",
        "segments = tuple(self._segments)",
        ("tests/shards/test_packing.py", *_BUILDER_TESTS),
    ),
    Fault(
        "the rest of a bundle is forgotten",
        "every accepted record is in a shard",
        _BUILDER,
        "            else:\n                self._flush_remainder(buffer)\n        self._buffers.clear()",
        "        self._buffers.clear()",
        _BUILDER_TESTS,
    ),
    Fault(
        "segments that are being compressed are not waited for",
        "every accepted record is in a shard",
        _BUILDER,
        "        self.cut()\n        self._collect_all()\n        for buffer in self._buffers.values():\n            if buffer.shard and",
        "        self.cut()\n        for buffer in self._buffers.values():\n            if buffer.shard and",
        _BUILDER_TESTS,
    ),
    Fault(
        "a stream that comes back begins its numbers again",
        "two shards never share a key",
        _BUILDER,
        "        self._sequence += 1\n        self._out.shards.append(shard)",
        "        self._out.shards.append(shard)",
        _BUILDER_TESTS,
    ),
    Fault(
        "records beyond a limit go into the same segment",
        _LIMITS,
        _BUILDER,
        "stop = min(stop, start + room.records - buffer.records)",
        "stop = min(stop, start + 1 + room.records - buffer.records)",
        _BUILDER_TESTS,
    ),
    Fault(
        "the memory budget is not kept",
        "memory is bounded",
        _BUILDER,
        "        if self._held_bytes + self._compressing_bytes > self._budget:\n            self._evict_largest()",
        "        if self._held_bytes + self._compressing_bytes > 4 * self._budget:\n            self._evict_largest()",
        _BUILDER_TESTS,
    ),
    Fault(
        "segments do not end on a byte",
        "segments are joined to one gzip member",
        _DEFLATE,
        "compressor.flush(zlib_ng.Z_FULL_FLUSH)",
        "compressor.flush(zlib_ng.Z_PARTIAL_FLUSH)",
        _FORMAT_TESTS,
    ),
    Fault(
        "a wrong CRC",
        "a shard is a valid gzip file",
        _DEFLATE,
        "crc32 = zlib_ng.crc32_combine(crc32, segment_crc32, raw_bytes)",
        "crc32 = zlib_ng.crc32_combine(crc32, segment_crc32, raw_bytes + 1)",
        _FORMAT_TESTS,
    ),
    Fault(
        "the length of the last segment alone",
        "a shard is a valid gzip file",
        _DEFLATE,
        "        length += raw_bytes\n",
        "        length = raw_bytes\n",
        _FORMAT_TESTS,
    ),
    Fault(
        "an array without separators",
        "a JSON array is one document",
        "beam_s3box/formats/json_text.py",
        "            if number:\n                yield separator\n",
        "",
        ("tests/formats/test_json_text.py", "tests/formats/test_format_contract.py"),
    ),
    Fault(
        "shards of other executions have the same key",
        "work that is done again never writes over what it wrote",
        _KEYS,
        "            origin=origin,\n",
        "            origin='0' * len(origin),\n",
        ("tests/shards/test_keys.py",),
    ),
    Fault(
        "long names are cut to the same folder",
        "two streams never share a key",
        "beam_s3box/records/streams.py",
        'hashlib.sha256(name.encode("utf-8"))',
        'hashlib.sha256(name[:20].encode("utf-8"))',
        ("tests/records/test_streams.py", "tests/shards/test_keys.py"),
    ),
    Fault(
        "records that came one by one are left behind by a batch",
        "the records of a stream stay in order",
        "beam_s3box/transforms/encode.py",
        "        if self._waiting:\n            self._pack_waiting()\n        self._counts.count(metrics.RECORDS_IN, len(lines))\n",
        "        self._counts.count(metrics.RECORDS_IN, len(lines))\n",
        ("tests/transforms/test_one_by_one.py",),
    ),
    Fault(
        "what is too little for a shard stays in its process",
        _ONCE,
        "beam_s3box/jobs/workers/part.py",
        "    yield from sorted(packed.remainders, key=operator.itemgetter(0))\n",
        "",
        ("tests/jobs/workers/test_pool.py",),
    ),
    Fault(
        "remainders come unsorted",
        "small streams of all processes end in one shard",
        "beam_s3box/jobs/workers/part.py",
        "sorted(packed.remainders, key=operator.itemgetter(0))",
        "reversed(sorted(packed.remainders, key=operator.itemgetter(0)))",
        ("tests/jobs/workers/test_pool.py",),
    ),
    Fault(
        "a worker that was killed is taken for one that is done",
        "a process that is killed fails the run",
        "beam_s3box/jobs/workers/pool.py",
        "            raise self._ended(self._workers[connection]) from None\n        if isinstance(message, Failed):",
        "            return Packed([], {}, {})\n        if isinstance(message, Failed):",
        ("tests/jobs/workers/test_pool.py",),
    ),
)
