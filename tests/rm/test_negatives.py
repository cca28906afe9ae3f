from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rm import negatives
from rm.text_keys import TEXT_LESSONS, with_key
from tests.rm.conftest import Place
from warehouse.datasets import build
from warehouse.errors import NotFoundError
from warehouse.shards import open_split


def test_negatives_are_rows_and_shards_of_their_own(place: Place) -> None:
    """What a recipe names is in; the splits of the voted samples stay, and no test prompt is touched."""
    warehouse = place.warehouse
    config = negatives.NegativesConfig(dataset="bright", version=1, pictures=0.5, words=0.4)
    made = negatives.run(config, warehouse)
    assert made.outputs["consensus_ids"] == ["c1", made.outputs["consensus_id"]] and made.counts["pairs"] > 10
    assert not negatives.run(config, warehouse).changed
    taught = build.run(negatives.recipe_of(config, warehouse).model_copy(update={
        "name": "taught", "consensus_ids": tuple(made.outputs["consensus_ids"]), "min_votes": 0}), warehouse).outputs
    before = {split: set(open_split(warehouse.root, "bright", 1, split).keys) for split in taught["samples"]}
    for split, voted in before.items():
        found = open_split(warehouse.root, "taught", taught["version"], split)
        extra = [found[found.keys.index(key)] for key in found.keys if key not in voted]
        assert voted <= set(found.keys) and bool(extra) == (split in ("train", "validation"))
        assert all(sample.facts["source"] == "adversarial" and sample.facts["n_votes"] == 0 for sample in extra)
    shards = warehouse.rows("SELECT shard, samples FROM shards WHERE name = 'taught'")
    own = [row for row in shards if "/adversarial-" in row["shard"]]
    assert sum(row["samples"] for row in own) == made.counts["pairs"] and 0 < len(own) < len(shards)


def test_a_spoiled_winner_loses_and_words_change_nothing(place: Place) -> None:
    warehouse = place.warehouse
    made = negatives.run(negatives.NegativesConfig(dataset="bright", version=1, pictures=1.0, words=1.0), warehouse)
    rows = warehouse.rows(
        "SELECT f.p_a, q.candidate_a, q.candidate_b, t.text, t.source, a.source AS of_a, b.source AS of_b, a.media_id, "
        "q.task "
        "FROM preferences f JOIN pairs q USING (pair_id) JOIN prompts t ON t.prompt_id = q.prompt_id "
        "JOIN candidates a ON a.candidate_id = q.candidate_a JOIN candidates b ON b.candidate_id = q.candidate_b "
        "WHERE f.consensus_id = ?", [made.outputs["consensus_id"]])
    spoiled, worded = ([row for row in rows if (row["source"] == "adversarial") == words] for words in (False, True))
    assert len(spoiled) > 20 and len(worded) > 20
    for row in spoiled:
        sides = {"a": row["of_a"] == "adversarial", "b": row["of_b"] == "adversarial"}
        assert sum(sides.values()) == 1 and row["p_a"] == (0.0 if sides["a"] else 1.0)
    voted = {(row["candidate_a"], row["candidate_b"]): row for row in warehouse.rows(
        "SELECT f.p_a, q.candidate_a, q.candidate_b, t.text FROM preferences f JOIN pairs q USING (pair_id) "
        "JOIN prompts t USING (prompt_id) WHERE f.consensus_id = 'c1'")}
    for row in worded:
        was = voted[row["candidate_a"], row["candidate_b"]]
        assert row["p_a"] == was["p_a"] and row["text"] in {with_key(was["text"], key) for key in TEXT_LESSONS}
    pictures = [np.asarray(Image.open(io.BytesIO(warehouse.media.get(row["media_id"])))) for row in spoiled
                if row["of_a"] == "adversarial" and row["task"] == "t2i"][:3]
    assert all(picture.shape == (32, 32, 3) for picture in pictures)


def test_an_unknown_version_is_named(place: Place) -> None:
    with pytest.raises(NotFoundError, match="no dataset nowhere@1"):
        negatives.run(negatives.NegativesConfig(dataset="nowhere", version=1), place.warehouse)
