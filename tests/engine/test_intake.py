"""What came in is counted, warned of, and may be too many dead letters."""

from __future__ import annotations

import logging
import pickle

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.dead_letter_limit import DeadLetterLimit
from beam_s3box.engine.input_totals import DeadLetterReason, InputTotals, sum_totals
from beam_s3box.engine.intake import DeadLetterWarnings, Intake
from beam_s3box.engine.plan import RunPlan
from beam_s3box.errors import ConfigurationError, DeadLettersError, RecordError
from beam_s3box.formats import JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.limits import StreamLimits, limits_by_stream
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore


def plan(*, fail: bool = False, max_dead_letters: int | str | None = None, domain_field: str = "carier") -> RunPlan:
    layout = Layout("run")
    return RunPlan(
        store=MemoryStore("intake"),
        layout=layout,
        format=JSON_LINES,
        selector=StreamSelector(domain_field=domain_field, namespace="n"),
        rules=record_rules(for_redshift=True),
        limits_of=limits_by_stream(StreamLimits()),
        claim=RunClaim(layout, new_token(32)),
        fail_on_bad_record=fail,
        dead_letter_limit=DeadLetterLimit.of(max_dead_letters),
    )


def rejected(*reasons: str) -> list[RejectedRecord]:
    return [RejectedRecord(None, reason, f"detail {reason}", b"raw") for reason in reasons]


def intake_of(lines: list[bytes], source: str = "in.jsonl", domain_field: str = "carier") -> Intake:
    settings = plan(domain_field=domain_field)
    intake = Intake(settings, MemoryMetrics(), DeadLetterWarnings())
    _, rejected = Router(settings.selector, settings.rules).route_lines(lines)
    intake.count(len(lines), rejected, LineBatch(lines, source, range(1, len(lines) + 1)))
    return intake


def test_all_are_counted_by_reason() -> None:
    counts = MemoryMetrics()
    intake = Intake(plan(), counts)
    letters = intake.count(5, rejected("not-json", "too-large", "not-json"))
    assert [letter.reason for letter in letters] == ["not-json", "too-large", "not-json"]
    assert counts.totals() == {"dead_letters": 3, "dead_letters_not_json": 2, "dead_letters_too_large": 1}
    intake.count(1, rejected("not-json"))
    totals = intake.run_totals()
    assert (totals.accepted, totals.rejected, totals.records) == (2, 4, 6)
    assert [(reason.reason, reason.records) for reason in totals.sorted_reasons()] == [
        ("not-json", 3),
        ("too-large", 1),
    ]


def test_the_first_fails_a_run_that_is_to_fail() -> None:
    counts = MemoryMetrics()
    intake = Intake(plan(fail=True), counts)
    with pytest.raises(RecordError, match=r"not-json: detail not-json; the record begins b'raw'\. on_bad_record="):
        intake.count(1, rejected("not-json"))
    assert counts.totals() == {}
    assert len(intake.count(1, [])) == 0


def test_a_run_that_fails_names_the_file_and_the_line() -> None:
    settings = plan(fail=True, domain_field="d")
    lines = [b'{"d":"a"}', b"{}", b"bad"]
    _, rejected = Router(settings.selector, settings.rules).route_lines(lines)
    with pytest.raises(RecordError, match=r"\(in\.jsonl, line [23]\); the record begins"):
        Intake(settings, MemoryMetrics()).count(3, rejected, LineBatch(lines, "in.jsonl", range(1, 4)))


def test_a_missing_field_is_told_with_those_that_are_there_and_the_one_that_was_meant() -> None:
    [reason] = intake_of([b'{"carrier":"AA","origin":"JFK"}'] * 3).run_totals().sorted_reasons()
    assert str(reason) == (
        "3 missing-stream: no field 'carier', or it is null; fields there: carrier, origin; did you mean 'carrier'? "
        "(in.jsonl, line 1)"
    )
    assert reason.example == '{"carrier":"AA","origin":"JFK"}'


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (b'{"CARIER":1}', "fields there: CARIER; did you mean 'CARIER'?"),
        (b'{"of":{"carier":1}}', "fields there: of; did you mean 'of.carier'?"),
        (b'{"carier":null,"x":1}', "fields there: carier, x"),
        (b'{"zzz":1}', "fields there: zzz"),
        (b"{}", "it has no fields"),
        (b'{%b"z":1}' % b"".join(b'"a%d":1,' % i for i in range(20)), f"fields there: {', '.join(f'a{i}' for i in range(12))}, …"),
    ],
)  # fmt: skip
def test_hints(line: bytes, hint: str) -> None:
    [reason] = intake_of([line]).run_totals().sorted_reasons()
    assert reason.hint == hint


def test_a_place_in_a_part_of_a_large_file_names_where_the_count_begins() -> None:
    reason = DeadLetterReason("not-json", 1, "why", "", "f", 3, 8_388_608, "x")
    assert str(reason) == "1 not-json: why (f, line 3 from byte 8388608 on)"
    assert pickle.loads(pickle.dumps(reason)) == reason


def test_sums_of_sums_are_sums_and_know_files_without_any_good_record() -> None:
    good, bad = intake_of([b'{"d":"a"}'] * 4, "good", "d"), intake_of([b"x", b"y"], "bad", "d")
    mixed = intake_of([b"x", b'{"d":"a"}'], "mixed", "d")
    total = sum_totals(intake.run_totals() for intake in (good, bad, mixed, bad))
    assert (total.accepted, total.rejected) == (5, 5)
    assert (total.bad_files, total.bad_file_count) == ((("bad", 2), ("bad", 2)), 2)
    assert total.reasons["not-json"].records == 5
    assert InputTotals().plus(total) == total == total.plus(InputTotals())
    many = sum_totals(intake_of([b"x"], f"f{i}", "d").run_totals() for i in range(9))
    assert (len(many.bad_files), many.bad_file_count) == (5, 9)


def totals_of(accepted: int, bad: int, bad_files: int = 0) -> InputTotals:
    reasons = {"not-json": DeadLetterReason("not-json", bad, "why", "", "f", 1, None, "xyz")} if bad else {}
    files = tuple((f"f{i}", 1) for i in range(min(bad_files, 5)))
    return InputTotals(accepted, bad, reasons, files, bad_files)


@pytest.mark.parametrize(
    ("limit", "totals", "rule"),
    [
        (None, totals_of(0, 0), None),
        (None, totals_of(1, 99), None),
        (None, totals_of(0, 1), "1 of 1 records are dead letters, that is every one: 1 not-json: why (f, line 1)"),
        (None, totals_of(5, 1, 1), "1 of 6 records are dead letters, among them every one of f0: "),
        (None, totals_of(5, 7, 7), "among them every one of f0, f1, f2, f3, f4 and 2 more files: "),
        (0, totals_of(9, 0), None),
        (0, totals_of(9, 1), "1 of 10 records are dead letters, more than max_dead_letters=0: "),
        (3, totals_of(0, 3, 1), None),
        ("3", totals_of(0, 4), "more than max_dead_letters=3: "),
        ("10%", totals_of(90, 10), None),
        ("10 %", totals_of(89, 11), "more than max_dead_letters='10%': "),
        ("0%", totals_of(9, 1), "more than max_dead_letters='0%': "),
        ("0.5%", totals_of(199, 1, 1), None),
        ("100%", totals_of(0, 9, 3), None),
    ],
)  # fmt: skip
def test_limits(limit: int | str | None, totals: InputTotals, rule: str | None) -> None:
    if rule is None:
        DeadLetterLimit.of(limit).check(totals, "memory://x/")
        return
    with pytest.raises(DeadLettersError) as raised:
        DeadLetterLimit.of(limit).check(totals, "memory://x/")
    assert rule in str(raised.value)
    assert str(raised.value).endswith(
        "The first begins 'xyz'. They are below memory://x/. Correct the input or the options, or accept dead letters "
        "with max_dead_letters='100%'"
    )


@pytest.mark.parametrize("value", [-1, True, 1.5, "", "x", "-1", "5 %%", "101%", "%", "1e3%", "٣"])
def test_what_is_no_limit_is_rejected(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"max_dead_letters=.* must be a whole number of records, or a share"):
        DeadLetterLimit.of(value)  # type: ignore[arg-type]


def test_a_number_that_a_part_exceeds_fails_at_once() -> None:
    intake = Intake(plan(max_dead_letters=3), MemoryMetrics())
    intake.count(5, rejected("not-json", "not-json", "too-large"))
    with pytest.raises(
        DeadLettersError, match="4 of 6 records are dead letters so far, more than max_dead_letters=3: 2 "
    ):
        intake.count(1, rejected("too-large"))


def test_the_first_of_a_reason_is_warned_of_at_once_and_more_of_them_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [1_000.0]
    intake = Intake(plan(), MemoryMetrics(), DeadLetterWarnings(lambda: now[0]))
    with caplog.at_level(logging.WARNING):
        for _ in range(1_000):
            intake.count(1, rejected("not-json"))
        intake.count(1, rejected("too-large"))
        now[0] += 601
        intake.count(2, rejected("not-json", "not-json"))
    assert [record.getMessage() for record in caplog.records] == [
        "dead letters of run run so far: 1 not-json: detail not-json",
        "dead letters of run run so far: 1 too-large: detail too-large",
        "more dead letters of run run: 1,001 not-json: detail not-json",
    ]
