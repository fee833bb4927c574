"""`make demo-redshift` ends with tables that agree with the source, and says so; or else it fails."""

from __future__ import annotations

import pytest

from tools import demo_redshift


def test_the_table_agrees_with_the_source(capfd: pytest.CaptureFixture[str]) -> None:
    assert demo_redshift.main() == 0
    printed = capfd.readouterr().out
    assert "56,147 rows of 2 manifests loaded into public.flights" in printed
    assert "nothing new for public.flights: 2 manifests were loaded before" in printed
    assert "they agree, stream by stream" in printed


@pytest.mark.parametrize("table", [{("AA", "JFK"): 2}, {}, {("AA", "JFK"): 3, ("AA", "LGA"): 1}])
def test_a_difference_is_a_failure(table: dict[tuple[str, str], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert demo_redshift.compare({("AA", "JFK"): 3}, table) == 1
    assert "THEY DIFFER" in capsys.readouterr().out
