"""The faults, by what they break."""

from __future__ import annotations

from tools.mutants.fault import Fault
from tools.mutants.faults.boxes import BOXES
from tools.mutants.faults.columns import COLUMNS
from tools.mutants.faults.commit import COMMIT
from tools.mutants.faults.input import INPUT
from tools.mutants.faults.packing import PACKING
from tools.mutants.faults.redshift import REDSHIFT
from tools.mutants.faults.spark import SPARK
from tools.mutants.faults.stores import STORES
from tools.mutants.faults.streamer import STREAMER
from tools.mutants.faults.streams import STREAMS

FAULTS: tuple[Fault, ...] = (
    *PACKING,
    *COMMIT,
    *SPARK,
    *STORES,
    *INPUT,
    *COLUMNS,
    *STREAMS,
    *BOXES,
    *STREAMER,
    *REDSHIFT,
)
"""All of them; names are unique."""
