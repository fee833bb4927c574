"""How a job's process begins."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from beam_s3box.jobs.run.entry import run_command

def run(arguments, log):
    import pyarrow.compute
    print("apache_beam" in sys.modules, "pandas" in sys.modules)
    pyarrow.compute.equal(pyarrow.array(["a"]), "a")
    import pandas
    print(pyarrow.table({"a": [1]}).to_pandas()["a"].sum(), pandas.DataFrame.__name__)
    return 0

run_command(run, [], owns_process=True)
"""


def test_beam_is_imported_without_pandas_which_is_there_for_whoever_asks() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "1", "DataFrame"]
