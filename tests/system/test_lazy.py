"""Names that are imported when they are first used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from beam_s3box.system.lazy import lazy_names


def test_a_name_is_found_in_its_module() -> None:
    find = lazy_names("beam_s3box", {"parse_size": "sizes"})
    assert find("parse_size")("10MB") == 10_000_000


@pytest.mark.parametrize("package", ["beam_s3box", "beam_s3box.formats", "beam_s3box.redshift"])
def test_an_unknown_name_is_an_attribute_error_of_the_package(package: str) -> None:
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'nonsense'"):
        importlib.import_module(package).nonsense  # noqa: B018


def test_a_module_is_not_imported_before_its_name_is_used() -> None:
    program = "import sys, beam_s3box.formats; print('fastavro' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
