"""Templates that lakes understand: the time of the window in the key, and columns as `name=value`."""

from __future__ import annotations

import pathlib
import pickle
import urllib.parse

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.engine.plan import WriteSpec
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import JSON_LINES
from beam_s3box.records.path_columns import columns_of
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream, column_folder
from beam_s3box.shards.keys import MAX_URL_BYTES, Layout
from beam_s3box.stores import MemoryStore
from beam_s3box.stores.base import check_key
from tests.shards.test_keys import RUN, SHA, WINDOW, key_of

TAIL = "{run_id}-{origin}-{sequence:05d}-{digest}{extension}"
HIVE = "data/domain={domain}/namespace={namespace}/dt={window_start:%Y-%m-%d}/hour={window_start:%H}/" + TAIL
NAME = f"{RUN}-0123456789ab-00000-0123456789ab.json.gz"
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("template", "key"),
    [
        (HIVE, "data/domain=web/namespace=clicks/dt=2026-11-22/hour=10"),
        ("data/{domain}/{namespace}/{window_start:%Y/%m/%d/%H}/" + TAIL, "data/web/clicks/2026/11/22/10"),
        ("data/{window_end:year=%Y/week=%V}/{domain}/{namespace}/" + TAIL, "data/year=2026/week=47/web/clicks"),
        ("data/{domain}/{namespace}/{window_start}/" + TAIL, "data/web/clicks/20261122T101500Z"),
        ("data/{domain}/{namespace}/d={window_start:%j}/{window}" + TAIL, f"data/web/clicks/d=326/{WINDOW}"),
    ],
)
def test_golden_keys(template: str, key: str) -> None:
    assert key_of(Layout(RUN, data_key=template), Stream("web", "clicks"), WINDOW) == f"{key}/{NAME}"


def test_only_the_folder_of_a_column_keeps_letters_as_they_are() -> None:
    template = "data/domain={domain}/{namespace}/{window}" + TAIL
    assert key_of(Layout(RUN, data_key=template), Stream("é", "é"), WINDOW).startswith("data/domain=é/%C3%A9/")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (HIVE.replace("dt={window_start:%Y-%m-%d}/hour={window_start:%H}/", ""), "lacks {window}: it must use each of"),
        (HIVE.replace("{origin}", ""), "lacks {origin}: it must use each of"),
        (HIVE.replace("{namespace}", "{namespce}"), "has the unknown field {namespce}: did you mean {namespace}?"),
        (HIVE.replace("{namespace}", "{table}"), "has the unknown field {table}: known are digest, domain, extension"),
        (HIVE.replace("%H", "%A"), "formats {window_start} by '%A', which has '%A'"),
        (HIVE.replace("%H", "%H:%M"), "formats {window_start} by '%H:%M', which has ':'"),
        (HIVE.replace("%H", "%"), "which has '%'"),
        (HIVE.replace("%H", "%H ä"), "which has ' '"),
        (HIVE.replace("%Y-%m-%d", "%Y//%d"), "without empty"),
        (HIVE.replace("hour=", "").replace("%H", "/%H"), "without empty"),
        (HIVE.replace("hour=", "").replace("%H", "%Y/./%H"), "without empty"),
        (HIVE.replace("%H", "../%H"), "'.' or '..' folders"),
        (HIVE.replace("{window_start:%H}", "{window_start!r:%H}"), "formats {window_start} by"),
        (
            HIVE.replace("{window_start:%H}", "{window_start.year}"),
            "has the unknown field {window_start.year}: did you mean {window_start}?",
        ),
        (HIVE.replace("domain={domain}/", "domain={domain}{window_start:%H}/"), "each in its own folder"),
        (HIVE.replace("namespace={namespace}/", "{namespace}{window_start:%H}/"), "each in its own folder"),
        ("data/{domain}/{namespace}/{window}{window}" + TAIL, "at the beginning of a folder's or file's name"),
        ("data/{domain}/{namespace}/x{window}" + TAIL, "at the beginning of a folder's or file's name"),
        (HIVE.replace("data/", "{window_start:%Y}/"), "must start with a constant folder"),
        (HIVE.replace("hour=", "").replace("{window_start:%H}", "{window}/"), "{window} ends with one"),
    ],
)
def test_templates_that_can_not_work_are_refused_at_once(template: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Layout(RUN, data_key=template)
    assert message in str(caught.value)
    assert f"key_template={template!r}" in str(caught.value)


@given(
    st.tuples(NAMES, NAMES, st.integers(0, 1), st.sampled_from(["a" * 12, "b" * 12]), st.integers(0, 2)),
    st.tuples(NAMES, NAMES, st.integers(0, 1), st.sampled_from(["a" * 12, "b" * 12]), st.integers(0, 2)),
)
@example(("a", "b/c", 0, "a" * 12, 0), ("a/b", "c", 0, "a" * 12, 0))
@example(("ä", "b", 0, "a" * 12, 0), ("%C3%A4", "b", 0, "a" * 12, 0))
def test_two_shards_never_share_a_key(
    first: tuple[str, str, int, str, int], second: tuple[str, str, int, str, int]
) -> None:
    """What two of them differ in is what an execution of work gives them: no two windows share origin and sequence."""
    layout = Layout.below("s3://bucket/" + "p" * 40, RUN, HIVE)
    keys = []
    for domain, namespace, hour, origin, sequence in (first, second):
        window = f"20261122T1{hour}0000Z-20261122T1{hour + 1}0000Z"
        keys.append(layout.shard(Stream(domain, namespace), window, origin, sequence, SHA, ".json.gz"))
    assert (keys[0] == keys[1]) == (first == second)


@settings(max_examples=300)
@given(NAMES, st.integers(40, 96))
@example("..", 40)
@example("ä" * 60, 41)
@example("%" * 60, 41)
@example("\u2028\u00a0\x85", 40)
def test_the_folder_of_a_column_is_the_name_in_all_readers(name: str, most: int) -> None:
    folder = column_folder(name, most)
    assert len(folder.encode()) <= most
    assert check_key(f"domain={folder}/x")
    if "~" not in folder:
        assert urllib.parse.unquote(folder, errors="strict") == name
        if name.isprintable():
            assert hive_unescaped(folder) == name
    else:
        begin = urllib.parse.unquote(folder.rpartition("~")[0], errors="strict")
        assert name.startswith(begin) or not name.isprintable()


def hive_unescaped(text: str) -> str:
    """Return what `FileUtils.unescapePathName` of Hive, which Spark and Trino took over, makes of a folder's value."""
    parts, at = [], 0
    while at < len(text):
        if text[at] == "%" and at + 2 < len(text):
            parts.append(chr(int(text[at + 1 : at + 3], 16)))
            at += 3
        else:
            parts.append(text[at])
            at += 1
    return "".join(parts)


def test_a_reader_of_partitions_finds_the_columns(tmp_path: pathlib.Path) -> None:
    layout = Layout(RUN, data_key=HIVE)
    streams = [Stream("web", "clicks"), Stream("a b/c=d", "100%"), Stream("Zürich", "日本"), Stream("..", "'\"*?:{}[]")]
    for stream in streams:
        key = key_of(layout, stream, WINDOW).replace(".json.gz", ".json")
        (tmp_path / key).parent.mkdir(parents=True)
        (tmp_path / key).write_text('{"i": 1}\n')
        assert columns_of(key) == {
            "domain": stream.domain,
            "namespace": stream.namespace,
            "dt": "2026-11-22",
            "hour": "10",
        }
    pattern = f"{tmp_path}/data/**/*.json"
    rows = duckdb.execute(
        "SELECT domain, namespace, CAST(dt AS VARCHAR), CAST(hour AS INT) FROM read_json(?, hive_partitioning = true)",
        [pattern],
    ).fetchall()
    assert sorted(rows) == sorted((*stream, "2026-11-22", 10) for stream in streams)


def test_urls_on_s3_fit_redshifts_tables() -> None:
    root = "s3://bucket/lake"
    layout = Layout.below(root, RUN, HIVE)
    key = key_of(layout, Stream("x" * 300, "ä" * 300), WINDOW, sequence=99_999)
    assert len(f"{root}/{key}".encode()) <= MAX_URL_BYTES


def test_records_without_windows_can_not_have_their_time_in_the_key() -> None:
    spec = WriteSpec(selector=StreamSelector("d", "n"), format=JSON_LINES, key_template=HIVE)
    with pytest.raises(ConfigurationError, match="global window") as caught:
        spec.plan(MemoryStore("memory://x"))
    assert "has {window_start}" in str(caught.value)
    assert "--window=fixed:1d" in str(caught.value)
    assert spec.plan(MemoryStore("memory://x"), windowed=True).layout.data_key == HIVE


def test_a_window_without_a_begin_has_only_its_end_in_keys() -> None:
    window = "until-20261122T101600Z-0123abcd"
    end = Layout(RUN, data_key="data/{domain}/{namespace}/{window_end:%H%M}/" + TAIL)
    assert key_of(end, Stream("d", "n"), window) == f"data/d/n/1016/{NAME}"
    with pytest.raises(ConfigurationError, match=r"has \{window_start\}.* only the end is known: use \{window_end\}"):
        key_of(Layout(RUN, data_key=HIVE), Stream("d", "n"), window)


def test_a_layout_is_pickled_with_its_template() -> None:
    layout = Layout(RUN, data_key=HIVE)
    copy = pickle.loads(pickle.dumps(layout))
    assert copy == layout
    assert key_of(copy, Stream("d", "n"), WINDOW) == key_of(layout, Stream("d", "n"), WINDOW)
