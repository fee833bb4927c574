"""Faults of loads: the ledger, transactions, results."""

from __future__ import annotations

from tools.mutants.fault import Fault

REDSHIFT = (
    Fault(
        "a manifest that is loaded is loaded again",
        "a manifest is loaded once",
        "beam_s3box/redshift/load/ledger.py",
        "        if entry is None or entry.sha256 == manifest.sha256:\n            return entry is not None",
        "        if entry is None or entry.sha256 == manifest.sha256:\n            return False",
        ("tests/redshift/load",),
    ),
    Fault(
        "a replaced manifest is skipped",
        "a manifest that changed is an error",
        "beam_s3box/redshift/load/ledger.py",
        '        if on_replaced == "error":\n            raise ManifestReplacedError(self._explain(manifest, entry, mode))\n        return on_replaced == "skip"',
        "        return True",
        ("tests/redshift/load",),
    ),
    Fault(
        "the ledger is not locked",
        "two loaders load a manifest once",
        "beam_s3box/redshift/load/ledger.py",
        'return f"LOCK TABLE {self.name.sql}"',
        'return "SELECT 1"',
        ("tests/redshift/load",),
    ),
    Fault(
        "the ledger of another table counts",
        "each table has its own entries",
        "beam_s3box/redshift/load/ledger.py",
        ' AND table_name = {literal(self.target.table)}"',
        '"',
        ("tests/redshift/load",),
    ),
    Fault(
        "a guard that can't fail",
        "a batch of statements loads a manifest once",
        "beam_s3box/redshift/load/ledger.py",
        'return f"SELECT {value} / (CASE WHEN {condition} THEN 1 ELSE 0 END)"',
        'return f"SELECT {value} / (CASE WHEN {condition} THEN 1 ELSE 1 END)"',
        ("tests/redshift/load",),
    ),
    Fault(
        "only the first page of a result",
        "a result is complete",
        "beam_s3box/redshift/client/data_api.py",
        "            if not token:\n                return rows",
        "            return rows",
        ("tests/redshift/load/test_data_api.py",),
    ),
    Fault(
        "a table may be a ledger",
        "records never reach the ledger",
        "beam_s3box/redshift/load/ledger.py",
        'if any(self._is_named(target, parts) for parts in (self._parts("{table}"), (LEDGER,))):',
        "if False:",
        ("tests/redshift/load/test_ledger_targets.py",),
    ),
)
