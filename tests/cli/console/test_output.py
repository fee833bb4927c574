"""What a terminal and a log get: others' words on one line, without what a terminal acts on, whatever its state."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import pathlib
import pty
import subprocess
import sys
import unicodedata

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_s3box.cli.console.logging import CommandLog, installed
from beam_s3box.cli.console.output import SturdyStream, live_line, say, say_text, sturdy_output, write_sql
from beam_s3box.cli.console.progress import Progress, shown
from beam_s3box.cli.console.report import RunReport, StreamTotals
from beam_s3box.cli.console.summary import Reporting, fail_with, print_summary
from beam_s3box.cli.console.table import render_table
from beam_s3box.errors import S3BoxError
from beam_s3box.stores import LocalStore, MemoryStore
from beam_s3box.system.printable import printable
from tests.cli.conftest import ROOT

HOSTILE = "\x1b]0;title\x07 \r\n12:00:00 INFO forged \u202egnp.exe\u2066 \x9b31m \x00 \u2028 \ud800 [bold red]"
SHOWN = r"\x1b]0;title\x07 \r\n12:00:00 INFO forged \u202egnp.exe\u2066 \x9b31m \x00 \u2028 \ud800 [bold red]"
FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def is_clean(text: str) -> bool:
    return not any(unicodedata.category(character) in FORBIDDEN for character in text.replace("\n", ""))


@given(st.text(st.characters(codec=None)))
@example(HOSTILE)
def test_nothing_that_a_terminal_acts_on_is_left_and_the_rest_stays(text: str) -> None:
    shown = printable(text)
    assert is_clean(shown)
    assert "\n" not in shown
    assert printable(shown) == shown
    assert [one for one in text if one.isprintable()] == [one for one in text if one in shown and one.isprintable()]


def test_what_is_printable_stays() -> None:
    for text in ("", "web/clicks äß 日本 😀 ‖ \\n [x]", SHOWN):
        assert printable(text) == text
    assert printable(HOSTILE) == SHOWN


def report(name: str = HOSTILE.replace("\ud800", ""), **values: int) -> RunReport:
    stream = StreamTotals(name, name, 1, 1, 1, 1, [f"s3://b/{name}"])
    return RunReport(**{"run_id": "r", "records_in": 1, "records_listed": 1, "dead_letters": 0, **values}, streams=[stream], manifests=stream.manifests)  # type: ignore[arg-type]  # fmt: skip


def test_the_table_names_a_stream_on_one_line() -> None:
    table = render_table(report())
    assert is_clean(table)
    assert len(table.split("\n")) == 5


def test_a_finished_run_is_printed_clean_and_its_report_is_exact(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    store = LocalStore(tmp_path / "a\x1b[31m\nb")
    assert (
        print_summary("pack", report(dead_letters=1, records_in=3), store, Reporting(str(path)), CommandLog("test"))
        == 1
    )
    out, err = capsys.readouterr()
    assert is_clean(out)
    assert is_clean(err)
    assert r"a\x1b[31m\nb" in out
    assert "forged" not in [line[:6] for line in out.splitlines()]
    assert orjson.loads(path.read_bytes())["streams"][0]["domain"] == HOSTILE.replace("\ud800", "")


@pytest.mark.parametrize(
    ("listed", "code"), [(2, 0), (1, 1), (3, 1)], ids=["all", "one is missing", "one is listed twice"]
)
def test_only_a_run_that_balances_ends_well(listed: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """More listed than read is a fault as well as less."""
    assert (
        print_summary(
            "pack", report("a", records_in=2, records_listed=listed), MemoryStore("x"), Reporting(), CommandLog("t")
        )
        == code
    )
    assert ("missing or duplicated" in capsys.readouterr().err) == bool(code)


def test_a_report_that_can_not_be_written_fails_a_run_whose_data_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_summary("pack", report("a"), MemoryStore("x"), Reporting("/dev/full"), CommandLog("t")) == 1
    assert capsys.readouterr().err == (
        "error: the pack finished and its manifests count, but its report='/dev/full' can't be written: "
        "No space left on device\n"
    )


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(1, f"COPY said {HOSTILE}", CommandLog("test")) == 1
    assert capsys.readouterr().err == f"error: COPY said {SHOWN}\n"


@pytest.mark.parametrize("is_traced", [False, True])
def test_a_log_has_one_line_a_message_and_indents_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_traced: bool
) -> None:
    # pytest's own handlers would keep the surrogate for its report, which can't be sent from a worker process
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log = CommandLog("test_console")
    log.mask(["secret\nkey"])
    with installed(log):
        try:
            raise ValueError(f"secret\nkey {HOSTILE}")
        except ValueError as exc:
            logging.getLogger("others").error("%s", exc, exc_info=is_traced)
    first, *rest = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert first.endswith(f"ERROR (masked) {SHOWN}")
    assert bool(rest) == is_traced
    assert all(line.startswith("  ") and is_clean(line) for line in rest)


def test_a_live_line_knows_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Progress):
        def line(self) -> str:
            return f"[bold]{HOSTILE}[/italic]"

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    with shown(Odd(dict), logging.getLogger("test")):
        pass
    assert f"[bold]{SHOWN}"[:40] in terminal.getvalue()
    assert "\x1b]0;" not in terminal.getvalue()


def test_messages_go_above_the_live_line_which_ends_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    with live_line() as show:
        show("1 of 2")
        say("a message", error=True)
        show("x" * 30)
    assert terminal.getvalue() == f"1 of 2\r\x1b[Ka message\n{'x' * 19}\r\x1b[K"


class Terminal(io.StringIO):
    """A terminal, of 300 columns."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_statements_are_exact_for_programs_and_escaped_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'CREATE TABLE "a\x1b\n"\n;'
    for stream, expected in ((io.StringIO(), f"{text}\n"), (Terminal(), 'CREATE TABLE "a\\x1b\n"\n;\n')):
        monkeypatch.setattr(sys, "stdout", stream)
        write_sql(text)
        assert stream.getvalue() == expected


class Broken(io.StringIO):
    """A stream that can't be written."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(32, "gone"), ValueError("I/O on closed file")])  # fmt: skip
def test_what_can_not_be_printed_changes_no_outcome(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(error))
    monkeypatch.setattr(sys, "stderr", Broken(error))
    assert print_summary("pack", report(), MemoryStore("x"), Reporting(), CommandLog("test")) == 0
    assert fail_with(2, "bad", CommandLog("test")) == 2
    with sturdy_output():
        print("a library's words")
        say("ours")
        say_text("ours")
    if isinstance(error, BrokenPipeError):
        write_sql("SELECT 1;")
    else:
        with pytest.raises(S3BoxError, match="standard output can't be written"):
            write_sql("SELECT 1;")


def test_streams_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("a")
    write_sql("a")
    with shown(Progress(dict), logging.getLogger("test")):
        pass
    with sturdy_output():
        assert isinstance(sys.stderr, SturdyStream)
        assert (sys.stderr.isatty(), sys.stderr.write("a"), sys.stderr.encoding) == (False, 1, "utf-8")
        sys.stderr.flush()
        with pytest.raises(io.UnsupportedOperation):
            sys.stderr.fileno()


LINES = '{"d":"ü€😀\\u001b[31m","n":1}\n'.encode() * 10
REPORTED = " --report report.json"
AS_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
PACK = "-m beam_s3box pack out --domain_field d --namespace n"
FILL = "-m pipelines.backfill --destination out --domain_field d --namespace n --input in.jsonl"


@pytest.mark.parametrize("command", [PACK, FILL], ids=["pack", "backfill"])
@pytest.mark.parametrize(
    "outputs", [">&-", "2>&-", ">&- 2>&-", "> /dev/full", "> /dev/full 2> /dev/full", "| true", "2>&1 | true", ""]
)
def test_a_command_ends_the_same_whatever_it_prints_to(tmp_path: pathlib.Path, command: str, outputs: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(LINES)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{sys.executable}' {command}{REPORTED} < in.jsonl {outputs}"],
        cwd=tmp_path,
        env={**os.environ, **AS_ASCII, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert b"\x1b" not in done.stdout
    found = orjson.loads((tmp_path / "report.json").read_bytes())
    assert (found["records_in"], found["records_listed"], len(found["manifests"])) == (10, 10, 1)
    assert found["streams"][0]["domain"] == "ü€😀\x1b[31m"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_output(closed: str) -> None:
    """Else what is meant for the terminal would be written into it."""
    code = (
        "import os, sys\n"
        "from beam_s3box.cli.console.output import sturdy_output\n"
        "with sturdy_output():\n"
        "    os._exit(os.open(os.devnull, os.O_RDONLY))"
    )
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -c '{code}' {closed}"], cwd=ROOT, timeout=180, check=False
    )
    assert done.returncode > 2


def test_sql_that_can_not_be_written_is_an_error() -> None:
    command = "-m beam_s3box copy-sql s3://bucket/x.manifest --redshift_table t --redshift_columns a --redshift_iam_role default"
    for outputs, code in (("> /dev/full", 1), ("| true", 0), ("> /dev/null", 0)):
        done = subprocess.run(
            ["bash", "-c", f"'{sys.executable}' {command} {outputs}; exit ${{PIPESTATUS[0]}}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        assert ("No space left" in done.stderr) == (code == 1)


def test_on_a_terminal_no_key_can_act(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(LINES)
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *PACK.replace(" out ", " out\x1b[31m ").split(" "), "--input", "in.jsonl"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    ) as process:
        os.close(follower)
        out = b""
        while block := _read(leader):
            out += block
        assert process.wait(180) == 0
    os.close(leader)
    assert b"\\x1b[31m" in out
    assert b"\x1b[31m" not in out


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # the other side is closed
        return b""


def test_only_the_console_prints() -> None:
    """Else the next printer would be one that escapes nothing."""
    sources = list((ROOT / "beam_s3box").rglob("*.py"))
    assert sources
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            is_print = isinstance(called, ast.Name) and called.id == "print"
            is_write = isinstance(called, ast.Attribute) and called.attr == "write" and "sys.std" in ast.unparse(called)
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            prints = is_print or is_write
            assert not prints, f"{where} prints: use beam_s3box.cli.console.output"


def test_a_log_of_json_has_an_object_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log = CommandLog("test_console")
    log.mask(["secret\nkey"])
    log.set_format("json")
    with installed(log):
        try:
            raise ValueError(f"secret\nkey {HOSTILE}")
        except ValueError as exc:
            logging.getLogger("others").error("%s", exc, exc_info=True)
        assert fail_with(1, "secret\nkey is no key", log) == 1
    first, last = map(json.loads, capsys.readouterr().err.splitlines())
    assert list(first) == ["time", "level", "logger", "message", "traceback"]
    assert first["level"] == "ERROR"
    assert first["logger"] == "others"
    assert first["message"] == f"(masked) {HOSTILE}"
    assert "ValueError: (masked)" in first["traceback"]
    assert last["message"] == "(masked) is no key"
    assert last["time"].endswith("+00:00")
