"""A run is compared with its input: each record is listed or a dead letter, once, in its stream, and nothing else."""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Callable

import pytest

from beam_s3box.cli.main import main
from beam_s3box.runs.verify import multisets
from beam_s3box.runs.verify.multisets import Balance, Sums
from tests.runs.verify.conftest import Said

Verify = Callable[..., Said]
LINES = [json.dumps({"i": number, "d": "web", "n": f"n{number % 3}", "t": "é" * (number % 7)}) for number in range(500)]
BAD = ["no record", "[1]", '{"i": 1}']


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join([*LINES, *BAD, ""]))
    return path


def pack(source: pathlib.Path, *more: str) -> pathlib.Path:
    out = source.with_name("out")
    arguments = ["pack", str(out), f"--input={source}", "--domain_field=d", "--namespace_field=n", "--quiet"]
    assert main([*arguments, "--max_records=40", *more]) == 0
    return out


@pytest.fixture
def out(source: pathlib.Path) -> pathlib.Path:
    return pack(source)


def test_equal(out: pathlib.Path, source: pathlib.Path, verify: Verify) -> None:
    said = verify(str(out), f"--source={source}")
    assert said.code == 0, said.out
    assert "503 records of the source compared\n" in said.out
    assert json.loads(verify(str(out), f"--source={source}", "--json").out)["source_records"] == 503


def test_order_packing_and_files_do_not_matter(out: pathlib.Path, source: pathlib.Path, verify: Verify) -> None:
    folder = source.with_name("parts")
    folder.mkdir()
    lines = [*LINES, *BAD]
    lines.reverse()
    for number in range(7):
        text = "\r\n\r\n".join(lines[number::7])
        (folder / f"{number}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    said = verify(str(out), f"--source={folder}/*.gz")
    assert said.code == 0, said.out


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (
            lambda lines: lines[1:],
            ["1 records are listed and not in the source", 'record of web/n0 that is not in the source: b\'{"i": 0,'],
        ),
        (
            lambda lines: [*lines, '{"i": 500, "d": "web", "n": "n0"}'],
            [
                "1 records of the source are not listed",
                'in.jsonl has a record of web/n0 that is not listed: b\'{"i": 500',
            ],
        ),
        (lambda lines: lines[:1] + lines, ["1 records of the source are not listed"]),
        (lambda lines: lines[:1] * 2 + lines, ["2 records of the source are not listed", "is not listed, 2 times: b"]),
        (
            lambda lines: [lines[0].replace("web", "wab"), *lines[1:]],
            ["1 records of the source are not listed", "1 records are listed and not in the source"],
        ),
        (
            lambda lines: [lines[0].replace('"i": 0', '"i":  0'), *lines[1:]],
            ["1 records of the source are not listed", "1 records are listed and not in the source"],
        ),
        (
            lambda lines: [line for line in lines if line != "no record"],
            ["1 records are dead letters, and not rejected", "that is no bad record: b'no record'"],
        ),
        (
            lambda lines: [*lines, "another"],
            ["1 records of the source are rejected and no dead letters", "that is no dead letter: b'another'"],
        ),
        (lambda lines: [], ["500 records are listed and not in the source"]),
    ],
)
def test_differences(
    out: pathlib.Path,
    source: pathlib.Path,
    verify: Verify,
    change: Callable[[list[str]], list[str]],
    faults: list[str],
) -> None:
    source.write_text("\n".join([*change([*LINES, *BAD]), ""]))
    said = verify(str(out), f"--source={source}")
    assert said.code == 1
    for fault in faults:
        assert fault in said.out


def test_records_that_streams_have_exchanged(
    out: pathlib.Path, source: pathlib.Path, verify: Verify, tmp_path: pathlib.Path
) -> None:
    """Both are there, each in the other's folder."""
    lines = [line.replace('"n0"', '"n9"').replace('"n1"', '"n0"').replace('"n9"', '"n1"') for line in LINES]
    source.write_text("\n".join([*lines, *BAD]))
    said = verify(str(out), f"--source={source}")
    assert said.code == 1
    source.write_text("\n".join([*LINES, *BAD]))
    said = verify(str(out), f"--source={source}", "--namespace_field=d", "--domain_field=n")
    assert said.code == 1
    assert "500 records of the source are not listed" in said.out
    assert "has a record of n0/web that is not listed" in said.out


def test_of_very_many_differences_some_are_shown(
    out: pathlib.Path, source: pathlib.Path, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multisets, "MAX_HELD", 50)
    source.write_text("\n".join(line.replace("web", "wab") for line in LINES))
    said = verify(str(out), f"--source={source}")
    assert said.code == 1
    assert "at least, having looked at " in said.out
    assert said.out.count("wrong: ") < 60


def test_with_the_options_of_the_run(source: pathlib.Path, verify: Verify) -> None:
    """What the record says need not be said again; another option shows as a difference."""
    out = pack(source, "--max_record_bytes=49", "--run_id=r")
    record = json.loads((out / "runs" / "r.json").read_text())
    assert record["input"]["rejected"] > len(BAD)
    assert verify(str(out), f"--source={source}").code == 0
    said = verify(str(out), f"--source={source}", "--max_record_bytes=1000")
    assert said.code == 1
    assert "of the source are not listed" in said.out


def test_rows_are_compared_as_the_backfill_writes_them(tmp_path: pathlib.Path, verify: Verify) -> None:
    source = tmp_path / "in.csv"
    source.write_text("d;n;x\n" + "".join(f"web;n{number % 2};{number:03d}\n" for number in range(100)) + "a;b\n")
    out = tmp_path / "out"
    arguments = ["backfill", f"--input={source}", f"--destination={out}", "--domain_field=d", "--namespace_field=n"]
    assert main([*arguments, "--csv_delimiter=;", "--csv_types=infer", "--quiet"]) == 0
    said = verify(str(out), f"--source={source}")
    assert said.code == 0, said.out
    assert "101 records of the source compared" in said.out
    source.write_text(source.read_text().replace(";042\n", ";043\n"))
    said = verify(str(out), f"--source={source}")
    assert said.code == 1
    assert '"x":"042"' in said.out
    assert '"x":"043"' in said.out


def test_dead_letters_that_were_written_twice(out: pathlib.Path, source: pathlib.Path, verify: Verify) -> None:
    (path,) = (out / "dead-letters").glob("*/*")
    path.with_name(f"0{path.name}").write_bytes(path.read_bytes())
    said = verify(str(out), f"--source={source}")
    assert said.code == 0, said.out


def test_a_compaction_has_the_dead_letters_of_its_run(
    out: pathlib.Path, source: pathlib.Path, verify: Verify, capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = (out / "runs").glob("*.json")
    assert main(["compact", str(out), f"--run_id={record.stem}"]) == 0
    said = verify(str(out), f"--source={source}")
    assert "run compact-" in said.out
    assert said.code == 0, said.out


def test_a_run_without_a_record_of_its_options(out: pathlib.Path, source: pathlib.Path, verify: Verify) -> None:
    """Of an earlier version: the streams' names are not known, and the records are compared all the same."""
    (path,) = (out / "runs").glob("*.json")
    record = json.loads(path.read_text())
    for name in ("shard_lists", "streams", "input", "settings"):
        del record[name]
    path.write_text(json.dumps(record))
    assert verify(str(out), f"--source={source}", "--domain_field=d", "--namespace_field=n").code == 0
    source.write_text("\n".join([*LINES[1:], *BAD]))
    assert verify(str(out), f"--source={source}", "--domain_field=d", "--namespace_field=n").code == 1


def test_input_that_is_not_there(out: pathlib.Path, verify: Verify) -> None:
    said = verify(str(out), "--source=nowhere/*.jsonl")
    assert said.code == 2
    assert "matches no file" in said.err


# ---------------------------------------------------------------- sums


def records(begin: int, end: int) -> list[bytes]:
    return [b"record %d" % number for number in range(begin, end)]


def test_sums_do_not_depend_on_order_or_parts() -> None:
    one, other = Sums(), Sums()
    for start in range(0, 10_000, 100):
        one.add(records(start, start + 100), "a")
        other.add(records(9_900 - start, 10_000 - start)[::-1], "a")
    assert one.differing(other).are_equal
    assert one.records == other.records == 10_000
    other.add([b"more"], "a")
    assert one.differing(other).all == 1


@pytest.mark.parametrize("times", [1, 2, 3, 1 << 16])
def test_a_record_more_often_is_another_multiset(times: int) -> None:
    """Also if its hash, added that often, is the same in its last bits."""
    one, other = Sums(), Sums()
    one.add([b"x"])
    other.add([b"x"] * (times + 1))
    assert not one.differing(other).are_equal


def test_exchanged_records_are_another_multiset() -> None:
    one, other = Sums(), Sums()
    one.add([b"x"], "a")
    one.add([b"y"], "b")
    other.add([b"y"], "a")
    other.add([b"x"], "b")
    assert not one.differing(other).are_equal
    balance = Balance(one.differing(other))
    balance.add_first([b"x"], "a")
    balance.add_first([b"y"], "b")
    balance.add_second([b"y"], "a")
    balance.add_second([b"x"], "b")
    found = {(one.record, one.group, one.times, one.is_in_first) for one in balance.differences()}
    assert found == {(b"x", "a", 1, True), (b"y", "b", 1, True), (b"y", "a", -1, False), (b"x", "b", -1, False)}
