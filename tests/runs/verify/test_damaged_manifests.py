"""Every kind of damage to manifests, one at a time on a real server, is found and named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.runs.verify.conftest import Place
from tests.runs.verify.damage import MANIFESTS, Break, Verify, check, edit_lists, without_lists


def entries(change: Callable[[list[dict[str, Any]]], Any]) -> Break:
    """Return what changes the entries of a manifest, whose digest is then another one."""

    def edit(place: Place) -> None:
        place.edit(place.first(MANIFESTS), lambda document: {"entries": change(document["entries"])})

    return edit


def all_but(break_one: Break) -> Break:
    """Return what makes the digests in record and lists fit again."""

    def fit(place: Place) -> None:
        break_one(place)
        digests = {key: hashlib.sha256(place.get(key)).hexdigest() for key in place.keys(MANIFESTS)}
        edit_lists(place, "", {}, digests)

    return fit


def changed(**values: Any) -> Break:
    return entries(lambda found: [{**found[0], **values}, *found[1:]])


def meta(**values: Any) -> Break:
    return entries(lambda found: [{**found[0], "meta": {**found[0]["meta"], **values}}, *found[1:]])


def lose_a_manifest(place: Place) -> None:
    place.delete(place.first(MANIFESTS))


def list_in_another(place: Place) -> None:
    one, other = place.keys(MANIFESTS)[:2]
    more = json.loads(place.get(one))["entries"][:1]
    place.edit(other, lambda document: {"entries": document["entries"] + more})


def one_more_manifest(place: Place) -> None:
    key = place.first(MANIFESTS)
    place.put(key.replace("00000.manifest", "00007.manifest"), place.get(key))


def swap_manifests(place: Place) -> None:
    one, other = place.keys(MANIFESTS)[:2]
    before = place.get(one), place.get(other)
    place.put(one, before[1])
    place.put(other, before[0])


ANOTHER = r"manifest has the SHA-256 \w+, and the run finished with \w+"


@pytest.mark.parametrize("lists", [True, False], ids=["lists", "no lists"])
@pytest.mark.parametrize(
    ("breaks", "fault"),
    [
        (lose_a_manifest, r"manifests/r-1/web/n0/00000.manifest does not exist"),
        (one_more_manifest, r"00007.manifest is not one of the manifests that the run finished with"),
        (swap_manifests, ANOTHER),
        (entries(lambda found: found + found[:1]), "more than once, and COPY would load it each time"),
        (entries(lambda found: found[1:]), ANOTHER),
        (entries(lambda found: []), "has no list of entries"),
        (changed(mandatory=False), "without mandatory: true"),
        (changed(url="s3://elsewhere/x"), "lists 's3://elsewhere/x', which is not below"),
        (meta(record_count=26), ANOTHER),
        (list_in_another, r"which manifests/\S+ lists as well"),
        (all_but(meta(record_count=26)), r"holds 25 records, not 26 as in manifests/"),
        (all_but(meta(record_count=25.0)), "with record_count=25.0, which must be a whole number"),
        (all_but(meta(content_length=7)), r"has \d+ bytes, not 7 as in manifests/"),
        (all_but(changed(meta=None)), "with meta=None, which must be an object"),
        (all_but(list_in_another), r"which manifests/\S+ lists as well"),
        (all_but(entries(lambda found: found[1:])), r"counts \d shards of|is in no manifest"),
        (lambda place: place.put(place.first(MANIFESTS), b"{"), "is not JSON"),
    ],
)
def test_damaged_manifests(place: Place, verify: Verify, breaks: Break, fault: str, lists: bool) -> None:
    if not lists:
        without_lists(place)
    breaks(place)
    check(verify(place.url), fault)
