"""Nothing is wrong with a whole run, also one of an earlier version, or with dead letters that were written again."""

from __future__ import annotations

from tests.runs.verify.conftest import RUN_ID, Place
from tests.runs.verify.damage import LETTERS, Verify, without_lists


def test_nothing_is_wrong_with_a_whole_run(place: Place, verify: Verify) -> None:
    said = verify(place.url)
    assert said.code == 0, said.out
    assert f"run {RUN_ID} in {place.url}\n4 manifests, 8 shards, 200 records, 3 dead letters; " in said.out
    assert said.out.endswith("nothing is wrong\n")
    assert not said.err


def test_nor_with_one_of_an_earlier_version(place: Place, verify: Verify) -> None:
    without_lists(place)
    said = verify(place.url, "--run_id", RUN_ID)
    assert said.code == 0, said.out
    assert "4 manifests, 8 shards, 200 records, 3 dead letters; " in said.out


def test_dead_letters_that_were_written_again_are_no_damage(place: Place, verify: Verify) -> None:
    """As by a bundle that was done again."""
    key = place.first(LETTERS)
    place.put(key.replace(LETTERS, f"{LETTERS}0"), place.get(key))
    said = verify(place.url)
    assert said.code == 0
    assert "6 dead letters" in said.out
