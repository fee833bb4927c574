"""Rejected records by runs are the same sequence as one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.records.rejected_records import RejectedRecord, RejectedRecords
from beam_s3box.records.streams import Stream

RECORDS = st.lists(
    st.builds(
        RejectedRecord,
        st.sampled_from([None, Stream("a", "b")]),
        st.sampled_from(["not-json", "too-large"]),
        st.sampled_from(["why", "because"]),
        st.binary(max_size=2),
    ),
    max_size=12,
)


@given(RECORDS, st.integers(0, 12))
def test_they_are_the_sequence_that_was_added(records: list[RejectedRecord], at: int) -> None:
    kept = RejectedRecords(records)
    assert list(kept) == records
    assert len(kept) == len(records)
    assert kept == records
    assert kept[at:] == records[at:]
    assert [kept[place] for place in range(-len(records), len(records))] == records * 2
    assert all(one[:3] != other[:3] for one, other in zip(kept.runs, kept.runs[1:], strict=False))


def test_no_run_is_empty() -> None:
    kept = RejectedRecords()
    kept.add(None, "not-json", "why", [])
    assert kept.runs == []
    assert not kept


def test_lists_that_are_added_stay_as_they_are() -> None:
    kept, raws = RejectedRecords(), [b"1", b"2"]
    kept.add(None, "not-json", "why", raws)
    kept.append(RejectedRecord(None, "not-json", "why", b"3"))
    assert raws == [b"1", b"2"]
    assert [one.raw for one in kept] == [b"1", b"2", b"3"]
    assert kept != raws
