"""`load` of all manifests of a run, of folders and of patterns; and what `verify --table` says of it."""

from __future__ import annotations

import hashlib
import json
import pathlib
import time
from collections.abc import Callable

import pytest

from beam_s3box.cli.main import main
from beam_s3box.engine.run_reader import list_runs
from tests.cli.conftest import Ended
from tests.redshift.load.conftest import Warehouse, redshift, warehouse

__all__ = ["redshift", "warehouse"]

Run = Callable[..., Ended]


@pytest.fixture
def command(
    warehouse: Warehouse, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """A command in this process, whose Redshift is the stand-in."""
    server, keys, settings = warehouse.redshift, warehouse.keys(), warehouse.settings
    monkeypatch.setenv("REDSHIFT_PASSWORD", server.password)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
    dsn = f"--redshift_dsn=redshift://{server.user}@{server.host}:{server.port}/dev?ssl=false"

    def run(name: str, *arguments: str) -> Ended:
        options = [f"--s3_endpoint_url={settings.endpoint_url}", f"--s3_region_name={settings.region}"]
        if name == "load":
            options += [dsn, f"--redshift_iam_role={warehouse.role}"]
        if any(argument.startswith("--table") for argument in arguments):
            options.append(dsn)
        return Ended(main([name, *arguments, *options]), *capfd.readouterr())

    return run


@pytest.fixture
def run(warehouse: Warehouse, command: Run, tmp_path: pathlib.Path) -> str:
    """A run of two streams with two manifests each; returns its destination."""
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"id": n, "d": "web", "n": f"s{n % 2}"}) + "\n" for n in range(40)))
    options = ("--domain_field=d", "--namespace_field=n", "--manifest_count=2", "--max_records=5", "--quiet")
    packed = command("pack", warehouse.store.root, f"--input={source}", "--run_id=r-1", *options)
    assert packed.code == 0, packed.err
    warehouse.execute("CREATE TABLE web_s0 (id INTEGER)", "CREATE TABLE web_s1 (id INTEGER)")
    return warehouse.store.root


@pytest.fixture(autouse=True)
def dropped(warehouse: Warehouse) -> None:
    warehouse.execute("DROP TABLE IF EXISTS web_s0", "DROP TABLE IF EXISTS web_s1")


def test_all_manifests_of_a_run(command: Run, run: str, warehouse: Warehouse) -> None:
    loaded = command("load", run, "--run_id=r-1", "--redshift_table=clicks")
    assert loaded == Ended(0, "40 rows of 4 manifests loaded into public.clicks\n", "")
    assert warehouse.ids() == list(range(40))
    again = command("load", f"{run}/runs/r-1.json", "--redshift_table=clicks")
    assert again == Ended(0, "nothing new for public.clicks: 4 manifests loaded before\n", "")


def test_a_table_for_each_stream(command: Run, run: str, warehouse: Warehouse) -> None:
    loaded = command("load", run, "--run_id=r-1", "--redshift_table={domain}_{namespace}", "--json")
    assert loaded.code == 0, loaded.err
    loads = json.loads(loaded.out)["loads"]
    assert [(one["table"], one["records"], one["outcome"]) for one in loads] == [
        ("public.web_s0", 20, "loaded"),
        ("public.web_s1", 20, "loaded"),
    ]
    assert warehouse.ids("web_s1") == list(range(1, 40, 2))


def test_one_table_that_fails_is_named_and_the_others_are_loaded(command: Run, run: str, warehouse: Warehouse) -> None:
    warehouse.execute("DROP TABLE web_s0")
    loaded = command("load", run, "--run_id=r-1", "--redshift_table={domain}_{namespace}")
    assert loaded.code == 1
    assert loaded.out == "20 rows of 2 manifests loaded into public.web_s1\n"
    assert "table='public.web_s0' does not exist" in loaded.err


def test_a_stream_whose_name_makes_no_table_stops_no_other(
    command: Run, warehouse: Warehouse, tmp_path: pathlib.Path
) -> None:
    source, root = tmp_path / "in.jsonl", warehouse.store.root
    source.write_text("".join(json.dumps({"id": n, "d": name}) + "\n" for n, name in enumerate(("d" * 130, "web_s0"))))
    names = ("--domain_field=d", "--namespace=n", "--run_id=r-1", "--quiet")
    assert command("pack", root, f"--input={source}", *names).code == 0
    warehouse.execute("CREATE TABLE web_s0 (id INTEGER)")
    loaded = command("load", root, "--run_id=r-1", "--redshift_table={domain}", "--json")
    assert (loaded.code, warehouse.ids("web_s0")) == (1, [1])
    assert f"table='{'d' * 130}' has 130 bytes in UTF-8" in loaded.err
    assert [load["outcome"] for load in json.loads(loaded.out)["loads"]] == ["failed", "loaded"]
    checked = command("verify", root, "--run_id=r-1", "--table={domain}")
    assert (checked.code, (checked.out + checked.err).count("is in no table: table=")) == (1, 1)
    assert command("load", root, "--run_id=r-1", "--redshift_table={domain}", "--redshift_dry_run").code == 1


def test_a_manifest_below_a_prefix_with_brackets(command: Run, warehouse: Warehouse, tmp_path: pathlib.Path) -> None:
    source, root = tmp_path / "in.jsonl", f"{warehouse.store.root}/x[1]?*"
    source.write_text('{"id": 1}\n{"id": 2}\n')
    assert (
        command("pack", root, f"--input={source}", "--domain=d", "--namespace=n", "--run_id=r-1", "--quiet").code == 0
    )
    for below in ("manifests/r-1/d/n/00000.manifest", "manifests/"):
        loaded = command("load", f"{root}/{below}", "--redshift_table=clicks")
        assert (loaded.code, loaded.err) == (0, "")
    assert warehouse.ids() == [1, 2]
    assert "matches no manifest" in command("load", f"{root}/nowhere/", "--redshift_table=clicks").err


def test_a_destination_that_is_given_as_a_manifest(command: Run, run: str) -> None:
    loaded = command("load", run, "--redshift_table=clicks")
    assert loaded.code == 1
    assert "for the URL of a destination add --run_id, and / at the end" in loaded.err


def test_a_dry_run_prints_the_statements_of_all_tables(command: Run, run: str, warehouse: Warehouse) -> None:
    made = command("load", run, "--run_id=r-1", "--redshift_table={domain}_{namespace}", "--redshift_dry_run")
    assert made.code == 0
    assert made.out.count("COPY ") == 4
    assert all(f'INSERT INTO "public"."web_s{number}"' in made.out for number in range(2))
    assert warehouse.ids("web_s0") == []


@pytest.mark.parametrize("below", ["manifests/r-1/", "manifests/r-1/**", "manifests/*/web/*/*.manifest", "manifests/"])
def test_folders_and_patterns(command: Run, run: str, warehouse: Warehouse, below: str) -> None:
    loaded = command("load", f"{run}/{below}", "--redshift_table=clicks")
    assert loaded == Ended(0, "40 rows of 4 manifests loaded into public.clicks\n", "")


def test_a_folder_next_to_a_manifest(command: Run, run: str, warehouse: Warehouse) -> None:
    single = f"{run}/manifests/r-1/web/s0/00000.manifest"
    loaded = command("load", single, f"{run}/manifests/r-1/web/s0/", "--redshift_table=clicks")
    assert loaded == Ended(0, "20 rows of 2 manifests loaded into public.clicks\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{run}/nowhere/",), "matches no manifest"),
        (("{run}/manifests/*.json",), "matches no manifest"),
        (("{run}", "--run_id=r-2"), "run_id='r-2' names no run below"),
        (("{run}", "{run}", "--run_id=r-1"), "a run is loaded by one URL"),
        (("{run}/runs/r-1.json", "--run_id=r-2"), "is the record of the run 'r-1'"),
    ],
)
def test_what_is_not_there(command: Run, run: str, arguments: tuple[str, ...], message: str) -> None:
    loaded = command("load", *(one.format(run=run) for one in arguments), "--redshift_table=clicks")
    assert loaded.code == 2
    assert message in loaded.err


def test_a_run_that_has_not_finished(command: Run, run: str, warehouse: Warehouse) -> None:
    record = json.loads(warehouse.store.get("runs/r-1.json"))
    body = json.dumps({**record, "state": "running"}).encode()
    digest = hashlib.sha256(body).hexdigest()
    warehouse.store.put("runs/r-1.json", body, sha256=digest, content_type="application/json", replace=True)
    loaded = command("load", run, "--run_id=r-1", "--redshift_table=clicks")
    assert loaded.code == 2
    assert "is running, so its manifests do not count" in loaded.err


# ---------------------------------------------------------------- verify --table


def test_verify_compares_with_the_ledger(command: Run, run: str, warehouse: Warehouse) -> None:
    table = "--table={domain}_{namespace}"
    before = command("verify", run, "--run_id=r-1", table)
    assert before.code == 1
    assert before.out.count("is not loaded into public.web_s") == 4
    assert command("load", run, "--run_id=r-1", "--redshift_table={domain}_{namespace}").code == 0
    after = command("verify", run, "--run_id=r-1", table)
    assert after.code == 0, after.out
    assert "40 rows in Redshift, and the ledger of each table compared\n" in after.out


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM web_s0 WHERE id = 0", "public.web_s0 has 19 rows, and 20 were appended"),
        ("DROP TABLE web_s1", "public.web_s1 does not exist"),
        (
            "DELETE FROM beam_s3box_loads WHERE manifest_url LIKE '%s0/00001.manifest'",
            "s0/00001.manifest is not loaded into public.web_s0",
        ),
        (
            "UPDATE beam_s3box_loads SET records = 3 WHERE manifest_url LIKE '%s0/00001.manifest'",
            "lists 10 records, and 3 rows were loaded into public.web_s0",
        ),
        (
            f"UPDATE beam_s3box_loads SET manifest_sha256 = '{64 * '0'}' WHERE manifest_url LIKE '%s0/00001.manifest'",
            "with other shards: it was written again since",
        ),
    ],
)
def test_what_redshift_lacks_is_found(command: Run, run: str, warehouse: Warehouse, statement: str, fault: str) -> None:
    assert command("load", run, "--run_id=r-1", "--redshift_table={domain}_{namespace}").code == 0
    warehouse.execute(statement)
    said = command("verify", run, "--run_id=r-1", "--table={domain}_{namespace}")
    assert said.code == 1
    assert fault in said.out


def test_a_compaction_whose_originals_are_loaded_counts_as_loaded(command: Run, run: str, warehouse: Warehouse) -> None:
    table = "--table={domain}_{namespace}"
    assert command("load", run, "--run_id=r-1", "--redshift_table={domain}_{namespace}").code == 0
    assert command("compact", run, "--max_object_bytes=1KiB").code == 0
    said = command("verify", run, table)
    assert "run compact-" in said.out
    assert said.code == 0, said.out
    warehouse.execute("DELETE FROM beam_s3box_loads WHERE manifest_url LIKE '%r-1/web/s0/00001.manifest'")
    said = command("verify", run, table)
    assert said.code == 1
    assert said.out.count("is not loaded into public.web_s0") == 1


def test_a_run_that_was_compacted_and_collected_says_what_to_load(command: Run, run: str, warehouse: Warehouse) -> None:
    assert command("compact", run).code == 0
    [done] = [one.run_id for one in list_runs(warehouse.store) if one.record.kind == "compact"]
    time.sleep(2.5)
    assert command("gc", run, "--older_than=0").code == 0
    said = command("load", run, "--run_id=r-1", "--redshift_table=clicks")
    assert said.code == 1
    assert f"; its shards were replaced by run {done}, and are gone: load that run" in said.err
    assert warehouse.ids() == []
    said = command("verify", run, "--run_id=r-1")
    assert said.code == 0
    assert f"replaced by run {done}" in said.out
    assert command("load", run, f"--run_id={done}", "--redshift_table=clicks").code == 0
    assert warehouse.ids() == list(range(40))
