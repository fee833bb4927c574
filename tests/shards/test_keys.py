"""Keys: every one is clean, no two shards share one, and Redshift's tables show them whole."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import DEFAULT_DATA_KEY, MAX_FOLDER_BYTES, MAX_URL_BYTES, Layout
from beam_s3box.shards.runs import MAX_RUN_ID_BYTES, new_run_id
from beam_s3box.stores.base import check_key

RUN = "20261122T101500Z-1f3a9c2b"
WINDOW = "20261122T101500Z-20261122T101600Z"
SHA = "0123456789abcdef" * 4
NAMES = st.one_of(
    st.sampled_from(
        ["", ".", "..", "/", "a/b", "../..", "%", "%2E%2E", "~", " ", "ä", "manifests", "x" * 300, "ä" * 150, "\x00"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
STREAMS = st.builds(Stream, NAMES, NAMES)
TAIL = "{window}{run_id}-{origin}-{sequence:05d}-{digest}{extension}"


def key_of(
    layout: Layout,
    stream: Stream,
    window: str = "",
    origin: str = "0123456789ab",
    sequence: int = 0,
    digest: str = SHA,
) -> str:
    return layout.shard(stream, window, origin, sequence, digest, ".json.gz")


def test_golden_keys() -> None:
    layout = Layout(RUN)
    stream = Stream("web", "clicks")
    name = f"{RUN}-0123456789ab-00007-0123456789ab.json.gz"
    assert key_of(layout, stream, sequence=7) == f"data/web/clicks/{name}"
    assert key_of(layout, stream, WINDOW, sequence=7) == f"data/web/clicks/{WINDOW}/{name}"
    assert layout.manifest(stream, "", 0, None) == f"manifests/{RUN}/web/clicks/00000.manifest"
    assert layout.manifest(stream, WINDOW, 1, None) == f"manifests/{RUN}/web/clicks/{WINDOW}/00001.manifest"
    assert layout.manifest(stream, WINDOW, 1, 7) == f"manifests/{RUN}/web/clicks/00000007-00001.manifest"
    assert layout.manifest(None, "", 0, None) == f"manifests/{RUN}/00000.manifest"
    assert layout.manifest(None, WINDOW, 0, 7) == f"manifests/{RUN}/00000007-00000.manifest"
    assert layout.dead_letters("0123456789ab", 2, SHA) == f"dead-letters/{RUN}/0123456789ab-00002-0123456789ab.json.gz"
    assert layout.run == f"runs/{RUN}.json"
    assert layout.of_attempt("abc", "summary") == f"runs/{RUN}/abc/summary.json"


@settings(max_examples=200, deadline=None)
@given(
    STREAMS, st.sampled_from(["", WINDOW]), st.sampled_from(["memory://m", "s3://bucket", "s3://bucket/" + "p" * 80])
)
@example(Stream("..", ".."), "", "s3://bucket")
def test_every_key_is_clean_and_in_its_own_place(stream: Stream, window: str, root: str) -> None:
    layout = Layout.below(root, RUN)
    data = check_key(key_of(layout, stream, window))
    manifest = check_key(layout.manifest(stream, window, 0, None))
    assert re.fullmatch(r"[A-Za-z0-9._~%/-]+", data + manifest)
    depth = 1 if window else 0
    assert data.startswith("data/")
    assert data.count("/") == 3 + depth
    assert manifest.startswith(f"manifests/{RUN}/")
    assert manifest.count("/") == 4 + depth
    if root.startswith("s3://"):
        assert max(len(f"{root}/{key}".encode()) for key in (data, manifest)) <= MAX_URL_BYTES


@settings(max_examples=300, deadline=None)
@given(STREAMS, STREAMS)
@example(Stream("a", "b/c"), Stream("a/b", "c"))
@example(Stream("a", ""), Stream("", "a"))
@example(Stream("x" * 300, "y"), Stream("x" * 301, "y"))
def test_two_streams_never_share_a_key(first: Stream, second: Stream) -> None:
    for layout in (Layout(RUN), Layout.below("s3://bucket/" + "p" * 60, RUN)):
        assert (key_of(layout, first) == key_of(layout, second)) == (first == second)
        keys = [layout.manifest(stream, "", 0, None) for stream in (first, second)]
        assert (keys[0] == keys[1]) == (first == second)


def test_everything_else_that_tells_two_shards_apart_is_in_the_key() -> None:
    stream = Stream("web", "clicks")
    sealed: list[dict[str, Any]] = [
        {},
        {"window": WINDOW},
        {"origin": "ba9876543210"},
        {"sequence": 1},
        {"sequence": 100_000},
    ]
    keys = {key_of(layout, stream, **one) for one in sealed for layout in (Layout(RUN), Layout("other"))}
    keys |= {key_of(Layout(RUN), stream, **one, digest=SHA[::-1]) for one in sealed}
    assert len(keys) == 3 * len(sealed)


def test_manifests_of_one_run_never_share_a_key() -> None:
    layout = Layout(RUN)
    keys = [
        layout.manifest(stream, window, number, firing)
        for stream in (None, Stream("a", "b"), Stream("b", "a"))
        for window, firing in (("", None), (WINDOW, None), ("", 0), ("", 1), ("", 10))
        for number in (0, 1, 10)
    ]
    assert len(set(keys)) == len(keys)


def test_a_firing_has_its_key_whatever_its_window() -> None:
    """One that a runner does again with other windows meets the first."""
    layout = Layout(RUN)
    assert layout.manifest(Stream("a", "b"), WINDOW, 0, 3) == layout.manifest(Stream("a", "b"), "", 0, 3)


def test_names_are_cut_at_a_length_for_people_where_the_url_had_room() -> None:
    layout = Layout.below("memory://m", RUN)
    assert layout.folder_bytes == MAX_FOLDER_BYTES
    assert len(key_of(layout, Stream("x" * 300, "y")).split("/")[1]) == MAX_FOLDER_BYTES


@pytest.mark.parametrize("length", [1, 20, 60])
@pytest.mark.parametrize("run_id", [RUN, "r", "r" * MAX_RUN_ID_BYTES])
def test_urls_on_s3_fit_redshifts_tables_whatever_the_run_is_called(run_id: str, length: int) -> None:
    root = "s3://bucket/" + "p" * length
    layout = Layout.below(root, run_id)
    long = Stream("x" * 300, "ä" * 300)
    keys = [
        key_of(layout, long, WINDOW, sequence=99_999),
        layout.manifest(long, WINDOW, 99_999, None),
    ]
    assert [key for key in keys if len(f"{root}/{key}") > MAX_URL_BYTES] == []
    if layout.folder_bytes < MAX_FOLDER_BYTES:
        # both names are cut equally, so a byte may be left
        assert max(len(f"{root}/{key}") for key in keys) >= MAX_URL_BYTES - 1, "no byte more is cut than must be"


def test_urls_on_s3_fit_with_a_longer_template_too() -> None:
    template = "data/a-long-constant-folder/domain={domain}/namespace={namespace}/" + TAIL
    layout = Layout.below("s3://bucket/p", RUN, template)
    key = key_of(layout, Stream("x" * 300, "y" * 300), WINDOW, sequence=99_999)
    assert key.startswith("data/a-long-constant-folder/domain=")
    assert MAX_URL_BYTES - 1 <= len(f"s3://bucket/p/{key}") <= MAX_URL_BYTES


def test_bytes_of_the_root_count_not_characters() -> None:
    root = "s3://bucket/" + "ä" * 40
    layout = Layout.below(root, RUN)
    key = key_of(layout, Stream("x" * 300, "y" * 300), WINDOW)
    assert len(f"{root}/{key}".encode()) <= MAX_URL_BYTES


def test_a_root_that_leaves_no_room_is_rejected_with_the_way_out() -> None:
    root = "s3://bucket/" + "p" * 200
    with pytest.raises(
        ConfigurationError, match=r"is too long: with more than 255 bytes .*shorten the prefix by (\d+) bytes"
    ) as caught:
        Layout.below(root, RUN)
    excess = re.search(r"by (\d+) bytes", str(caught.value))
    assert excess
    Layout.below(root[: len(root) - int(excess[1])], RUN)
    with pytest.raises(ConfigurationError, match="shorten the prefix by 1 bytes"):
        Layout.below(root[: len(root) - int(excess[1]) + 1], RUN)


@pytest.mark.parametrize(
    "template",
    [
        DEFAULT_DATA_KEY,
        "data/{domain}/{namespace}/{window}{run_id}-{origin}-{sequence}-{digest}{extension}",
        "data/{run_id}/{domain}/{namespace}/{window}{origin}-{sequence:08d}-{digest}{extension}",
        "raw/domain={domain}/namespace={namespace}/" + TAIL,
        "lake/v1/{domain}/{namespace}/{window}shard-{run_id}-{origin}-{sequence:05d}-{digest}{extension}",
    ],
)
def test_good_templates_give_clean_keys(template: str) -> None:
    layout = Layout.below("s3://bucket/p", RUN, template)
    for window in ("", WINDOW):
        assert check_key(key_of(layout, Stream("..", "a/b"), window))


@pytest.mark.parametrize(
    "template",
    [
        "",
        "data/x.json.gz",
        DEFAULT_DATA_KEY.replace("{digest}", ""),
        DEFAULT_DATA_KEY.replace("{window}", ""),
        DEFAULT_DATA_KEY.replace("{origin}", "o"),
        DEFAULT_DATA_KEY + "{user}",
        DEFAULT_DATA_KEY + "{}",
        DEFAULT_DATA_KEY + "{0}",
        DEFAULT_DATA_KEY + "{",
        DEFAULT_DATA_KEY + "}",
        DEFAULT_DATA_KEY.replace("{domain}", "{domain.__class__}"),
        DEFAULT_DATA_KEY.replace("{domain}", "{domain[0]}"),
        "/" + DEFAULT_DATA_KEY,
        "../" + DEFAULT_DATA_KEY,
        "manifests/" + DEFAULT_DATA_KEY,
        "dead-letters/" + DEFAULT_DATA_KEY,
        "runs/" + DEFAULT_DATA_KEY,
    ],
)
def test_bad_templates_are_rejected(template: str) -> None:
    with pytest.raises(ConfigurationError, match="key_template=") as caught:
        Layout(RUN, data_key=template)
    assert repr(template) in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "data//{domain}/{namespace}/" + TAIL,
        "./{domain}/{namespace}/" + TAIL,
        "data/./{domain}/{namespace}/" + TAIL,
        "data/{domain}/{namespace}/" + TAIL + "/",
        "data/{domain}/{namespace}/{window}/{run_id}-{origin}-{sequence:05d}-{digest}{extension}",
        "data/{domain}/{namespace}/{run_id}-{origin}-{sequence:05d}-{digest}{extension}{window}",
    ],
)
def test_templates_whose_keys_a_store_would_refuse_are_rejected_at_once(template: str) -> None:
    """Also those whose keys are only unusual outside of, or within, a window."""
    with pytest.raises(ConfigurationError, match="key_template="):
        Layout(RUN, data_key=template)


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("{sequence:05d}", "{sequence:s}"),
        ("{sequence:05d}", "{sequence:{run_id}}"),
        ("{domain}", "{domain:05d}"),
        ("{domain}", "{domain:.1}"),
        ("{domain}", "{domain!r}"),
        ("{digest}", "{digest:.0}"),
        ("{origin}", "{origin:.1}"),
    ],
)
def test_templates_with_other_formats_are_rejected_at_once(field: str, changed: str) -> None:
    """A format that fails would fail at the first shard; one that cuts would let two shards share a key."""
    with pytest.raises(ConfigurationError, match="key_template="):
        Layout(RUN, data_key=DEFAULT_DATA_KEY.replace(field, changed))


@pytest.mark.parametrize(
    ("folders", "first", "second"),
    [
        ("data/{domain}{namespace}/", Stream("ab", "c"), Stream("a", "bc")),
        ("data/{domain}-{namespace}/", Stream("a-b", "c"), Stream("a", "b-c")),
        ("data/{namespace}.{domain}/", Stream("a.b", "c"), Stream("b", "c.a")),
    ],
)
def test_templates_never_let_two_streams_share_a_key(folders: str, first: Stream, second: Stream) -> None:
    """Sequences count within a stream, so equal records of two such streams would be one object."""
    try:
        layout = Layout(RUN, data_key=folders + TAIL)
    except ConfigurationError:
        return
    assert key_of(layout, first) != key_of(layout, second)


@pytest.mark.parametrize("template", ["{domain}/{namespace}/" + TAIL, "{namespace}/{domain}/" + TAIL])
def test_templates_never_put_data_among_manifests(template: str) -> None:
    """Not even where a stream is named like their folder."""
    try:
        layout = Layout(RUN, data_key=template)
    except ConfigurationError:
        return
    for name in ("manifests", "dead-letters", "runs"):
        assert not key_of(layout, Stream(name, name)).startswith(f"{name}/")


@pytest.mark.parametrize("template", [None, 5, b"data"])
def test_templates_must_be_text(template: Any) -> None:
    with pytest.raises(ConfigurationError, match="key_template="):
        Layout(RUN, data_key=template)


def test_a_new_run_id_fits_what_the_layout_reckons_with() -> None:
    assert len(new_run_id()) == len(RUN)
