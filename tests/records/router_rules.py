"""Rules, a selector and a line, for tests of routing."""

from __future__ import annotations

from beam_s3box.records.encoding import RecordRules
from beam_s3box.records.selector import StreamSelector

LAX = RecordRules(max_bytes=None, forbid_nul=False)
STRICT = RecordRules(max_bytes=90, forbid_nul=True)
BY_FIELDS = StreamSelector(domain_field="d", namespace_field="n")
GOOD = b'{"d":"a","n":"b"}'
