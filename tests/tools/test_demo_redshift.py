"""The parts of the demo of Redshift; all of it runs with `make demo-redshift`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from beam_s3box.cli.commands.load import LOAD_PARSER
from beam_s3box.jobs.backfill import PARSER
from redshift_stand_in import ROLE
from tools import demo_redshift

SERVER: Any = SimpleNamespace(user="me", host="127.0.0.1", port=1, database="dev")


def test_the_commands_are_such_that_programs_take_them() -> None:
    options = demo_redshift.redshift_options(SERVER, "http://127.0.0.1:2")
    values = PARSER.parse(demo_redshift.backfill_command(options)[3:]).get_all_options()
    assert (values["destination"], values["run_id"]) == (demo_redshift.DESTINATION, demo_redshift.RUN_ID)
    assert (values["redshift_table"], values["redshift_iam_role"]) == (demo_redshift.TABLE, ROLE)
    given = LOAD_PARSER.parse(demo_redshift.load_command(options)[4:])
    assert given.manifests == demo_redshift.MANIFESTS
    assert given.redshift_create_tables


def test_the_source_has_the_streams_that_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    source = demo_redshift.sums_of_source()
    assert (len(source), sum(flights for flights, _ in source.values())) == (35, 56_147)
    assert demo_redshift.compare(source, dict(source)) == 0
    assert "35 streams, 56,147 rows in the table, 56,147 records in the source\nAll agree" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{("UA", "EWR"): (7_682, 1)}, {("ZZ", "EWR"): (1, 1)}])
def test_what_differs_is_told(change: dict[tuple[str, str], tuple[int, int]]) -> None:
    source = {("UA", "EWR"): (7_682, 2)}
    assert demo_redshift.compare(source, {**source, **change}) == 1
