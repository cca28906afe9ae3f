from __future__ import annotations

from pipelines.results import next_commands, result_rows
from pipelines.summary import place, skeleton


def filled() -> dict[str, object]:
    document = skeleton()
    document.update(name="demo", warehouse="W", changed=True)
    document["counts"] = {"prompts": 4, "candidates": {"images": 8, "clips": 2}, "pairs": 3, "votes": 9, "rejects": 0}
    return document


def test_all_keys_are_there_without_any_stage() -> None:
    document = skeleton()
    assert set(document["rm"]["accuracy_id"]) == {"value", "n", "ci_low", "ci_high"}
    assert set(document["placebo"]) == {"shuffled_votes", "no_votes"}
    assert set(document["alignment"]) == {"image", "video"}


def test_place_makes_the_way() -> None:
    document: dict[str, object] = {}
    place(document, "a.b.c", 1)
    assert document == {"a": {"b": {"c": 1}}}


def test_what_was_not_measured_is_not_shown() -> None:
    assert [what for what, _ in result_rows(filled())] == ["prompts, images, clips", "pairs, votes, rejects"]


def test_next_commands_carry_the_warehouse() -> None:
    assert all("--warehouse W" in command for command in next_commands(filled()))
