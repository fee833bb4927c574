"""The seeded faults fit the code as it is; `make mutants` tries them, which takes too long for each run of the tests."""

from __future__ import annotations

import collections
import pathlib

import pytest

from tools.mutants.fault import Fault, StaleFaultError
from tools.mutants.faults import FAULTS

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_is_a_change_of_the_code(fault: Fault) -> None:
    changed = fault.changed(ROOT)
    assert changed != (ROOT / fault.file).read_text("utf-8")
    compile(changed, fault.file, "exec")
    assert all((ROOT / test).exists() for test in fault.tests)


def test_their_names_are_unique() -> None:
    assert collections.Counter(fault.name for fault in FAULTS).most_common(1)[0][1] == 1


def test_a_fault_whose_text_is_gone_says_so(tmp_path: pathlib.Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\na = 1\n")
    with pytest.raises(StaleFaultError, match="2 times, not once"):
        Fault("twice", "", "code.py", "a = 1", "a = 2", ()).changed(tmp_path)
