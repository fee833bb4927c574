"""Which shards a compaction joins: up to a size, in one folder, of firings that are old enough; and which manifests list them."""

from __future__ import annotations

from beam_s3box.engine.run_reader import find_run
from beam_s3box.runs.compact import Compacted
from beam_s3box.stores import Store
from tests.runs.compacting import compact, memory
from tests.runs.made_runs import CLICKS, VIEWS, Made, Part, ids_of, listing

FIRST, SECOND = "20261122T101500Z-20261122T101600Z", "20261122T101600Z-20261122T101700Z"


def test_no_joined_shard_is_larger_than_asked_for() -> None:
    store = memory()
    made = Made(store, "run")
    made.finish([Part([[number] for number in range(20)])])
    size = listing_sizes(store)
    compact(store, max_object_bytes=3 * max(size))
    joined = listing_sizes(store)
    assert max(joined) <= 3 * max(size)
    assert len(joined) == 7
    assert listing(store).all_ids == list(range(20))


def listing_sizes(store: Store) -> list[int]:
    return [len(store.get(key)) for key in listing(store).shards]


def test_a_shard_that_fits_with_no_other_stays_as_it_is() -> None:
    store = memory()
    made = Made(store, "run")
    made.finish([Part([list(range(100, 200)), [1], [2]])])
    large, *_ = listing(store).shards
    compact(store, max_object_bytes=200)
    found = listing(store)
    assert found.shards[0] == large
    assert list(found.ids.values()) == [[*range(100, 200), 1, 2]]
    assert len(found.shards) == 2


def test_nothing_to_join_makes_no_run() -> None:
    store = memory()
    Made(store, "run").finish([Part([[1]]), Part([[2]], VIEWS)])
    before = [info.key for info in store.list()]
    assert compact(store) == Compacted("", "run")
    assert [info.key for info in store.list()] == before


def test_windows_become_one_that_reaches_over_them() -> None:
    store = memory()
    made = Made(store, "run", bounded=False)
    for number, window in enumerate((FIRST, SECOND)):
        made.fire(Part([[number]], window=window))
    done = compact(store, settled_seconds=0.0)
    [listed] = find_run(store, done.run_id).shards()
    assert listed.shard.window == "20261122T101500Z-20261122T101700Z"
    assert listed.shard.key.startswith("data/web/clicks/20261122T101500Z-20261122T101700Z/compact-")
    assert ids_of(store.get(listed.shard.key)) == [0, 1]


def test_folders_by_which_others_choose_stay_apart() -> None:
    store = memory()
    template = "data/{domain}/{namespace}/{window}{run_id}-{origin}-{sequence:05d}-{digest}{extension}"
    made = Made(store, "run", bounded=False, template=template)
    made.fire(Part([[1], [2]], window="until-20261122T101600Z-01234567"))
    made.fire(Part([[3], [4]], window="until-20261122T101700Z-89abcdef"))
    made.fire(Part([[5], [6]]))
    done = compact(store, settled_seconds=0.0)
    shards = [listed.shard for listed in find_run(store, done.run_id).shards()]
    assert [(shard.window, ids_of(store.get(shard.key))) for shard in shards] == [
        ("until-20261122T101600Z-01234567", [1, 2]),
        ("until-20261122T101700Z-89abcdef", [3, 4]),
        ("", [5, 6]),
    ]


def test_manifests_of_a_whole_run_list_all_streams() -> None:
    store = memory()
    made = Made(store, "run", per="run", bounded=False)
    made.fire(Part([[1], [2]], CLICKS))
    made.fire(Part([[3], [4]], VIEWS))
    done = compact(store, settled_seconds=0.0)
    assert listing(store).ids == {f"manifests/{done.run_id}/00000.manifest": [1, 2, 3, 4]}
    assert len(listing(store).shards) == 2


def test_a_manifest_replaces_a_hundred_at_most() -> None:
    store = memory()
    made = Made(store, "run", bounded=False)
    for number in range(230):
        made.fire(Part([[number]]), lists=False)
    done = compact(store, settled_seconds=0.0)
    assert (done.manifests_before, done.manifests, done.shards) == (230, 3, 3)
    assert list(listing(store).ids.values()) == [
        list(range(100)),
        list(range(100, 200)),
        list(range(200, 230)),
    ]


def test_young_firings_of_a_live_stream_stay() -> None:
    store = memory()
    made = Made(store, "run", bounded=False)
    made.fire(Part([[1], [2]]))
    assert compact(store).run_id == ""
    assert compact(store, settled_seconds=0.0).manifests_before == 1


def test_days_and_hours_in_folders_stay_apart() -> None:
    store = memory()
    template = (
        "data/{domain}/{namespace}/dt={window_start:%Y-%m-%d}/hour={window_start:%H}/"
        "{run_id}-{origin}-{sequence:05d}-{digest}{extension}"
    )
    made = Made(store, "run", bounded=False, template=template)
    windows = [(11, 58), (11, 59), (12, 0), (12, 1)]
    for number, (hour, minute) in enumerate(windows):
        begin, end = f"20261122T{hour:02d}{minute:02d}00Z", f"20261122T{hour:02d}{minute:02d}59Z"
        made.fire(Part([[2 * number], [2 * number + 1]], window=f"{begin}-{end}"))
    done = compact(store, settled_seconds=0.0)
    keys = [listed.shard.key for listed in find_run(store, done.run_id).shards()]
    assert [key.rpartition("/")[0] for key in keys] == [
        "data/web/clicks/dt=2026-11-22/hour=11",
        "data/web/clicks/dt=2026-11-22/hour=12",
    ]
    assert [ids_of(store.get(key)) for key in keys] == [[0, 1, 2, 3], [4, 5, 6, 7]]
