"""A compaction's manifest and those that it replaces: in every order and at the same time, each record is loaded once."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError, LoadError, ManifestReplacedError
from beam_s3box.redshift.load.data_api_load import Step, _check_limits
from beam_s3box.redshift.load.ledger import Entry, Ledger
from beam_s3box.redshift.load.table_loads import DATA_API_NAMES
from beam_s3box.redshift.manifests import ListedManifest, read_manifest
from beam_s3box.redshift.sql.target import target_of
from beam_s3box.runs.compact import Compaction
from tests.redshift.load.conftest import Warehouse, together
from tests.redshift.load.fakes import manifest_text, table_loads
from tests.runs.made_runs import CLICKS, VIEWS, Made, Part

TARGET = target_of("clicks", "public")
LEDGER = Ledger(target_of("beam_s3box_loads", "public"), TARGET)


def compacted(warehouse: Warehouse, run_id: str = "run", **settings: Any) -> list[Manifest]:
    run = find_run(warehouse.store, run_id)
    done = Compaction(run, settled_seconds=-60.0, **settings).compact()
    return list(find_run(warehouse.store, done.run_id).manifests())


def written(warehouse: Warehouse, *, bounded: bool = True, per: str = "stream") -> list[Manifest]:
    made = Made(warehouse.store, "run", bounded=bounded, per=per)
    windows = ("20261122T101500Z-20261122T101600Z", "20261122T101600Z-20261122T101700Z")
    parts = [Part([[2 * number], [2 * number + 1]], window=window) for number, window in enumerate(windows)]
    return made.finish(parts) if bounded else [made.fire(part) for part in parts]


ALL = [0, 1, 2, 3]


@pytest.fixture(params=["driver", "data-api"])
def loader(request: pytest.FixtureRequest, warehouse: Warehouse) -> Any:
    return warehouse.loader(warehouse.data_api() if request.param == "data-api" else None)


@pytest.mark.parametrize("per", ["stream", "run"])
@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "unbounded"])
def test_in_every_order_each_record_is_loaded_once(warehouse: Warehouse, bounded: bool, per: str) -> None:
    old = written(warehouse, bounded=bounded, per=per)
    [new] = compacted(warehouse)
    loader = warehouse.loader()
    for order in itertools.permutations([new.url, *(manifest.url for manifest in old)]):
        warehouse.execute("DELETE FROM clicks", "DROP TABLE IF EXISTS beam_s3box_loads")
        for url in (*order, *order):
            loader.load(url, "clicks")
        assert warehouse.ids() == ALL, order


def test_what_was_loaded_before_is_not_loaded_again(warehouse: Warehouse, loader: Any) -> None:
    old = written(warehouse)
    loader.load_all(old, "clicks")
    [new] = compacted(warehouse)
    result = loader.load(new, "clicks")
    assert (result.outcome, result.skipped) == ("already-loaded", (new.url,))
    assert warehouse.ids() == ALL


def test_what_a_compaction_brought_is_not_loaded_again(warehouse: Warehouse, loader: Any) -> None:
    old = written(warehouse)
    [new] = compacted(warehouse)
    result = loader.load(new, "clicks")
    assert (result.outcome, result.loaded, result.records) == ("loaded", (new.url,), 4)
    again = loader.load_all(old, "clicks")
    assert (again.outcome, len(again.skipped)) == ("already-loaded", 2)
    assert warehouse.ids() == ALL
    modes = warehouse.rows("SELECT mode, records FROM beam_s3box_loads ORDER BY mode, records")
    assert modes == [("append", 4), ("replaced", 2), ("replaced", 2)]


def test_of_what_is_loaded_in_part_only_the_rest_is(warehouse: Warehouse, loader: Any) -> None:
    first, second = written(warehouse, bounded=False)
    loader.load(first, "clicks")
    [new] = compacted(warehouse)
    result = loader.load(new, "clicks")
    assert (result.outcome, result.loaded, result.records) == ("loaded", (second.url,), 2)
    assert warehouse.ids() == ALL
    assert loader.load(new, "clicks").outcome == "already-loaded"


@pytest.mark.parametrize("mode", ["append", "truncate", "upsert"])
def test_old_and_new_in_one_load(warehouse: Warehouse, mode: Any) -> None:
    old = written(warehouse)
    [new] = compacted(warehouse)
    loader = warehouse.loader()
    keys = "id" if mode == "upsert" else None
    loader.load(old[0], "clicks", mode, keys)
    result = loader.load_all([*old, new], "clicks", mode, keys)
    assert result.outcome == "loaded"
    assert warehouse.ids() == ALL
    assert loader.load_all([*old, new], "clicks", mode, keys).outcome == "already-loaded"
    assert warehouse.ids() == ALL


@pytest.mark.parametrize("repetition", range(3))
def test_at_the_same_time(warehouse: Warehouse, repetition: int) -> None:
    old = written(warehouse)
    new = compacted(warehouse)
    results = together(
        lambda: warehouse.loader().load_all(new, "clicks"),
        lambda: warehouse.loader().load(old[0], "clicks"),
        lambda: warehouse.loader(warehouse.data_api()).load(new[0], "clicks"),
        lambda: warehouse.loader(warehouse.data_api()).load(old[1], "clicks"),
    )
    assert not [each for each in results if isinstance(each, Exception)]
    assert warehouse.ids() == ALL


def test_a_compaction_of_a_compaction(warehouse: Warehouse) -> None:
    old = written(warehouse)
    middle = compacted(warehouse, max_object_bytes=95)
    assert len(middle) == 1
    run_id = middle[0].key.split("/")[1]
    [new] = compacted(warehouse, run_id)
    loader = warehouse.loader()
    for order in itertools.permutations([new.url, middle[0].url, old[1].url]):
        warehouse.execute("DELETE FROM clicks", "DROP TABLE IF EXISTS beam_s3box_loads")
        for url in order:
            loader.load(url, "clicks")
        assert warehouse.ids() == ALL, order


def test_a_hundred_manifests_in_transactions_of_the_data_api(warehouse: Warehouse) -> None:
    made = Made(warehouse.store, "run", bounded=False)
    for number in range(3):
        for stream in (CLICKS, VIEWS):
            for _ in range(40):
                made.fire(Part([[number]], stream), lists=False)
    new = compacted(warehouse)
    assert len(new) == 4
    api = warehouse.data_api()
    loads = table_loads(api, fetch=warehouse.loader().settings.fetch, iam_role=warehouse.role)
    results = list(loads.outcomes([manifest.url for manifest in new], TARGET))
    assert len(results) > 1
    assert warehouse.rows("SELECT COUNT(*) FROM clicks") == [(240,)]


def test_the_names_of_a_transaction_fit_the_statements_of_the_data_api() -> None:
    urls = [f"s3://{number:05d}{'x' * 245}" for number in range(DATA_API_NAMES)]
    entries = [Entry(url, "0" * 64, 1, "now") for url in urls]
    manifests = [ListedManifest(url, "0" * 64, 1, ()) for url in urls]
    statements = [LEDGER.look_up(urls), LEDGER.guard(urls, entries), *LEDGER.record(manifests, "append")]
    assert max(map(len, statements)) < 100_000


def rewrite(warehouse: Warehouse, manifest: Manifest) -> None:
    body = warehouse.store.get(manifest.key) + b"\n"
    digest = hashlib.sha256(body).hexdigest()
    warehouse.store.put(manifest.key, body, sha256=digest, content_type="application/json", replace=True)


@pytest.mark.parametrize("how", ["written again", "removed"])
def test_a_manifest_that_the_runner_took_back_voids_the_compaction(warehouse: Warehouse, how: str) -> None:
    old = written(warehouse, bounded=False)
    [new] = compacted(warehouse)
    if how == "removed":
        warehouse.store.delete(old[1].key)
    else:
        rewrite(warehouse, old[1])
    with pytest.raises(LoadError, match=f"does not count any more: it replaces .* which was {how} since"):
        warehouse.loader().load(new, "clicks")
    assert warehouse.ids() == []


def test_a_manifest_that_is_written_again_after_the_compaction_was_loaded(warehouse: Warehouse) -> None:
    old = written(warehouse, bounded=False)
    [new] = compacted(warehouse)
    warehouse.loader().load(new, "clicks")
    rewrite(warehouse, old[1])
    with pytest.raises(ManifestReplacedError):
        warehouse.loader().load(old[1].url, "clicks")
    assert warehouse.ids() == ALL


def test_one_transaction_of_the_data_api_with_too_many_names_is_refused() -> None:
    _check_limits([Step("x" * 100_000, "ledger")])
    with pytest.raises(ConfigurationError, match="bytes, which the Data API does not take: load fewer at once"):
        _check_limits([Step("x"), Step("x" * 100_001, "ledger")])


# without a server: what anybody may have written, and every order of loads

HOSTILE = {
    "a local file": [{"url": "file:///etc/passwd", "sha256": "0" * 64, "records": 10}],
    "no digest": [{"url": "s3://b/manifests/r/0.manifest", "records": 10}],
    "no list": 7,
    "other records": [{"url": "s3://b/manifests/r/0.manifest", "sha256": "0" * 64, "records": 9}],
    "one that is missing": [{"url": "s3://b/manifests/r/0.manifest", "sha256": "0" * 64, "records": 10}],
    "itself": [{"url": "s3://b/manifests/c/1.manifest", "sha256": "0" * 64, "records": 10}],
    "records as text": [{"url": "s3://b/manifests/r/0.manifest", "sha256": "0" * 64, "records": "10"}],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_an_error(name: str) -> None:
    url = "s3://b/manifests/c/1.manifest"
    text = {**json.loads(manifest_text("s3://b/data/x.json.gz")), "replaces": HOSTILE[name]}
    read = []

    def fetch(wanted: str) -> bytes:
        read.append(wanted)
        return {url: json.dumps(text).encode()}[wanted]

    with pytest.raises(LoadError):
        read_manifest(url, fetch)
    assert all(one.startswith("s3://") for one in read)


def test_compactions_that_go_too_deep_are_an_error() -> None:
    texts: dict[str, bytes] = {}
    below: dict[str, Any] = {}
    for number in range(30):
        url = f"s3://b/m/{number:05d}.manifest"
        text = {**json.loads(manifest_text("s3://b/data/x.json.gz")), **below}
        texts[url] = json.dumps(text).encode()
        digest = hashlib.sha256(texts[url]).hexdigest()
        below = {"replaces": [{"url": url, "sha256": digest, "records": 10}]}
    assert len(read_manifest("s3://b/m/00015.manifest", texts.__getitem__).family) == 16
    with pytest.raises(LoadError, match="too deep"):
        read_manifest("s3://b/m/00029.manifest", texts.__getitem__)


def listed(name: str, *replaced: ListedManifest) -> ListedManifest:
    return ListedManifest(name, hashlib.sha256(name.encode()).hexdigest(), 1, (f"{name}-file",), replaced)


ORIGINALS = [listed(f"m{number}") for number in range(6)]
MIDDLE = [listed("c0", *ORIGINALS[:2]), listed("c1", *ORIGINALS[2:4])]
MANIFESTS = [*ORIGINALS, *MIDDLE, listed("d0", *MIDDLE), listed("e0", *ORIGINALS[1:3]), listed("f0", *ORIGINALS)]


@given(
    loads=st.lists(st.lists(st.sampled_from(MANIFESTS), min_size=1, max_size=6, unique=True), max_size=6),
    mode=st.sampled_from(["append", "upsert"]),
)
def test_whatever_is_loaded_in_whatever_order_each_original_is_loaded_once(loads: Any, mode: Any) -> None:
    ledger: dict[str, Entry] = {}
    times = dict.fromkeys((one.url for one in ORIGINALS), 0)
    wanted = set()
    for manifests in loads:
        names = {one.url for manifest in manifests for one in manifest.family}
        found = [ledger[name] for name in sorted(names) if name in ledger]
        decision = LEDGER.decide(manifests, found, mode, "error")
        for manifest in decision.load:
            for origin in manifest.origins:
                times[origin.url] += 1
            for one in manifest.family:
                ledger[one.url] = Entry(one.url, one.sha256, one.records, "now")
        wanted |= {origin.url for manifest in manifests for origin in manifest.origins}
        assert {url for url, count in times.items() if count} == wanted
        assert not {one.url for one in decision.load} & {one.url for one in decision.skip}
    assert all(count <= 1 for count in times.values())


@given(
    before=st.sets(st.sampled_from(ORIGINALS)),
    manifests=st.lists(st.sampled_from(MANIFESTS), min_size=1, max_size=6, unique=True),
)
def test_truncate_loads_all_or_nothing(before: Any, manifests: Any) -> None:
    entries = [Entry(one.url, one.sha256, 1, "now") for one in before]
    decision = LEDGER.decide(manifests, entries, "truncate", "error")
    origins = {origin.url for manifest in manifests for origin in manifest.origins}
    loaded = [origin.url for manifest in decision.load for origin in manifest.origins]
    assert sorted(loaded) == (sorted(origins) if origins - {one.url for one in before} else [])
